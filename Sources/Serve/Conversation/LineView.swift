/// How an edited line lies on a terminal: rows of text, and where the cursor stands.
struct LineView: Equatable {
    private(set) var rows: [String] = [""]
    private(set) var cursor = (row: 0, column: 0)

    static func == (a: LineView, b: LineView) -> Bool { a.rows == b.rows && a.cursor == b.cursor }

    /// - Parameters:
    ///   - prompt: before the first row; the others are indented as far.
    ///   - size: of the terminal. Of more rows than it has, those around the cursor are shown.
    init(_ editor: LineEditor, prompt: String, size: (columns: Int, rows: Int)) {
        let indent = prompt.count
        let width = max(size.columns, indent + 2)
        var column = indent
        rows = [prompt]
        func breakRow(_ rows: inout [String]) {
            rows.append(String(repeating: " ", count: indent))
            column = indent
        }
        for (index, character) in editor.characters.enumerated() {
            let isLineFeed = character == "\n"
            let columns = character == "\t" ? 4 : isLineFeed ? 0 : character.columns
            if column + columns > width { breakRow(&rows) }
            if index == editor.cursor { cursor = (rows.count - 1, column) }
            if isLineFeed {
                breakRow(&rows)
                continue
            }
            rows[rows.count - 1] += character == "\t" ? "    " : String(character)
            column += columns
        }
        if editor.cursor == editor.characters.count {
            if column >= width { breakRow(&rows) }
            cursor = (rows.count - 1, column)
        }
        let most = max(1, size.rows - 1)
        guard rows.count > most else { return }
        let first = min(max(0, cursor.row - most / 2), rows.count - most)
        rows = Array(rows[first..<first + most])
        cursor.row -= first
    }

    /// What draws it in the place of another, on whose row the cursor stands.
    func drawing(over old: LineView?) -> String {
        var text = old.map { $0.cursor.row > 0 ? "\u{1B}[\($0.cursor.row)A" : "" } ?? ""
        text += "\r\u{1B}[J" + rows.joined(separator: "\r\n")
        let up = rows.count - 1 - cursor.row
        if up > 0 { text += "\u{1B}[\(up)A" }
        text += "\r"
        if cursor.column > 0 { text += "\u{1B}[\(cursor.column)C" }
        return text
    }

    /// What leaves the cursor on a new row below.
    var leaving: String {
        let down = rows.count - 1 - cursor.row
        return (down > 0 ? "\u{1B}[\(down)B" : "") + "\r\n"
    }
}
