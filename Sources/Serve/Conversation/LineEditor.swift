import DoraText

/// A line that somebody types: keys in, text and cursor out. Knows nothing of terminals.
///
/// The cursor stands between characters as people see them: what takes several scalars is deleted as one.
struct LineEditor: Equatable {
    enum Key: Equatable {
        case text(String)
        /// Pasted, line feeds and all.
        case pasted(String)
        case left, right, wordLeft, wordRight, home, end, up, down
        case backspace, delete, killToEnd, killToStart, killWord
        case enter
        /// Ctrl-C, Ctrl-D, Ctrl-L, Ctrl-Z.
        case interrupt, endOfInput, redraw, suspend
    }

    enum Outcome: Equatable {
        case editing
        case line(String)
        /// Ctrl-C; whether there was nothing that it threw away.
        case interrupted(wasEmpty: Bool)
        case ended
    }

    private(set) var characters: [Character] = []
    private(set) var cursor = 0
    private var history: [String] = []
    /// Which line of the history is shown; its count for the one that is being written.
    private var shown = 0
    private var written: [Character] = []

    private static let mostHistory = 1000

    var text: String { String(characters) }

    mutating func take(_ key: Key) -> Outcome {
        switch key {
        case .text(let text), .pasted(let text): insert(text)
        case .left: cursor = max(0, cursor - 1)
        case .right: cursor = min(characters.count, cursor + 1)
        case .wordLeft: cursor = wordStart
        case .wordRight: cursor = wordEnd
        case .home: cursor = 0
        case .end: cursor = characters.count
        case .up: show(shown - 1)
        case .down: show(shown + 1)
        case .backspace: remove(max(0, cursor - 1)..<cursor)
        case .delete: remove(cursor..<min(characters.count, cursor + 1))
        case .killToEnd: remove(cursor..<characters.count)
        case .killToStart: remove(0..<cursor)
        case .killWord: remove(wordStart..<cursor)
        case .enter: return .line(finish())
        case .interrupt:
            let wasEmpty = characters.isEmpty
            clear()
            return .interrupted(wasEmpty: wasEmpty)
        case .endOfInput:
            if characters.isEmpty { return .ended }
            remove(cursor..<min(characters.count, cursor + 1))
        case .redraw, .suspend: break
        }
        return .editing
    }

    private mutating func insert(_ text: String) {
        let before = String(characters[..<cursor]) + text.withoutControls
        // A mark that combines with the character before it becomes part of that.
        let rest = characters[cursor...]
        characters = Array(before) + rest
        cursor = characters.count - rest.count
    }

    private mutating func remove(_ range: Range<Int>) {
        characters.removeSubrange(range)
        cursor = range.lowerBound
    }

    private var wordStart: Int {
        var index = cursor
        while index > 0, characters[index - 1].isWhitespace { index -= 1 }
        while index > 0, !characters[index - 1].isWhitespace { index -= 1 }
        return index
    }

    private var wordEnd: Int {
        var index = cursor
        while index < characters.count, characters[index].isWhitespace { index += 1 }
        while index < characters.count, !characters[index].isWhitespace { index += 1 }
        return index
    }

    private mutating func show(_ index: Int) {
        guard 0...history.count ~= index, index != shown else { return }
        if shown == history.count { written = characters }
        shown = index
        characters = index == history.count ? written : Array(history[index])
        cursor = characters.count
    }

    private mutating func finish() -> String {
        let line = text
        if !line.isEmpty, line != history.last { history.append(line) }
        if history.count > Self.mostHistory { history.removeFirst() }
        clear()
        return line
    }

    private mutating func clear() {
        (characters, cursor, written, shown) = ([], 0, [], history.count)
    }
}

extension String {
    /// Line feeds and tabs stay; what else would steer a terminal goes.
    fileprivate var withoutControls: String {
        var result = String.UnicodeScalarView()
        for scalar in replacing("\r\n", with: "\n").replacing("\r", with: "\n").unicodeScalars
        where !scalar.steersTerminal {
            result.append(scalar)
        }
        return String(result)
    }
}
