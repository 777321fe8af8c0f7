import DoraText

/// What of an answer has been handed on, so that another server can go on with it.
///
/// The same request gets the same bytes from every server with the same base and adapter: who computes it anew repeats
/// what is known, in pieces that may be cut otherwise, and goes on from there.
struct StreamProgress {
    private var text: [UInt8] = []
    private var tokens: [JSONValue] = []
    private var seenText = 0
    private var seenTokens = 0

    /// Another server begins.
    mutating func restart() { (seenText, seenTokens) = (0, 0) }

    /// What of a line is new, nil if nothing is.
    /// - Throws: `Difference` when it is not what was handed on.
    mutating func rest(of line: JSONObject) throws(Difference) -> JSONObject? {
        if line["done"]?.bool == true {
            guard line["error"] == nil else { return line }
            if let whole = line["text"]?.string, !whole.utf8.starts(with: text) { throw Difference() }
            if let whole = line["token_ids"]?.array, !whole.starts(with: tokens) { throw Difference() }
            return line
        }
        guard let ids = line["token_ids"]?.array else { return line }
        let piece = Array((line["text"]?.string ?? "").utf8)
        let newText = try Self.rest(of: piece, known: &text, seen: &seenText)
        let newIDs = try Self.rest(of: ids, known: &tokens, seen: &seenTokens)
        if newText.isEmpty && newIDs.isEmpty { return nil }
        if newText.count == piece.count && newIDs.count == ids.count { return line }
        return line.with("text", .string(String(decoding: newText, as: UTF8.self)))
            .with("token_ids", .array(newIDs))
    }

    /// A server's answer is not another's.
    struct Difference: Error {}

    private static func rest<Element: Equatable>(
        of piece: [Element], known: inout [Element], seen: inout Int
    ) throws(Difference) -> [Element] {
        let overlap = min(piece.count, known.count - seen)
        guard known[seen..<seen + overlap].elementsEqual(piece[..<overlap]) else { throw Difference() }
        let new = Array(piece[overlap...])
        known += new
        seen += piece.count
        return new
    }
}
