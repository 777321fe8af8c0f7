/// A text on its way to the model: its bytes, cut into pieces some of which are tokens already.
struct TextPieces {
    struct Piece {
        var range: Range<Int>
        /// The id of an added token; the other steps pass such a piece by.
        var token: Int?
        /// Whether the piece began at the start of the text as it was given.
        var startsText: Bool
    }

    private(set) var bytes: [UInt8]
    private(set) var pieces: [Piece]

    init(_ text: String) {
        bytes = Array(text.utf8)
        pieces = bytes.isEmpty ? [] : [Piece(range: 0..<bytes.count, token: nil, startsText: true)]
    }

    /// Cuts every piece that is no token. `cut` appends the parts' ranges in order; empty ones are dropped.
    mutating func split(_ cut: (_ bytes: [UInt8], _ range: Range<Int>, _ parts: inout [Range<Int>]) -> Void) {
        splitTokens { bytes, range, parts in
            var ranges: [Range<Int>] = []
            cut(bytes, range, &ranges)
            for range in ranges { parts.append((range, nil)) }
        }
    }

    /// As `split`, where parts may be tokens.
    mutating func splitTokens(
        _ cut: (_ bytes: [UInt8], _ range: Range<Int>, _ parts: inout [(range: Range<Int>, token: Int?)]) ->
            Void
    ) {
        var split: [Piece] = []
        split.reserveCapacity(pieces.count)
        var parts: [(range: Range<Int>, token: Int?)] = []
        for piece in pieces {
            guard piece.token == nil else {
                split.append(piece)
                continue
            }
            parts.removeAll(keepingCapacity: true)
            cut(bytes, piece.range, &parts)
            for part in parts where !part.range.isEmpty {
                let startsText = piece.startsText && part.range.lowerBound == piece.range.lowerBound
                split.append(Piece(range: part.range, token: part.token, startsText: startsText))
            }
        }
        pieces = split
    }

    /// Replaces the bytes of every piece that is no token by what `write` appends for it. Pieces may become
    /// empty; the next split drops them and the model makes nothing of them.
    mutating func rewrite(
        _ write: (_ bytes: [UInt8], _ piece: Piece, _ output: inout [UInt8]) -> Void
    ) {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 4)
        for index in pieces.indices where pieces[index].token == nil {
            let start = output.count
            write(bytes, pieces[index], &output)
            pieces[index].range = start..<output.count
        }
        bytes = output
    }
}
