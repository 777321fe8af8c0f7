/// Byte pair encoding of one pre-token: its characters become tokens, then the adjacent pair whose merge has the
/// lowest rank, the leftmost on a tie, is merged until none is left.
struct BPEModel: SubwordModel {
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// What a character becomes that the vocabulary lacks; without one it is dropped.
    let unknown: Int?
    let fusesUnknown: Bool
    /// A pre-token that is a token by itself is taken whole.
    let ignoresMerges: Bool
    /// By byte: the id of `<0xXX>`; empty without byte fallback.
    private let byteTokens: [Int?]
    /// By scalar of the basic plane: the id of the token that is this scalar, or -1.
    private let scalarTokens: [Int32]

    struct Options: Equatable, Sendable {
        var unknown: Int?
        var fusesUnknown = false
        var byteFallback = false
        var ignoresMerges = false
    }

    init(vocabulary: Vocabulary, merges: [MergeTable.Merge], options: Options) {
        self.vocabulary = vocabulary
        self.merges = MergeTable(merges)
        unknown = options.unknown
        fusesUnknown = options.fusesUnknown
        ignoresMerges = options.ignoresMerges
        byteTokens =
            options.byteFallback ? (0...255).map { vocabulary.id(of: ByteToken.spelling(UInt8($0))) } : []
        scalarTokens = Self.scalarTokens(vocabulary)
    }

    func encode(_ text: TextPieces, into ids: inout [Int]) {
        var workspace = Workspace()
        text.encode(into: &ids) { bytes, range, ids in encode(bytes, range, &workspace, into: &ids) }
    }

    /// Scratch memory that the pre-tokens of one text share.
    private struct Workspace {
        var symbols: [Symbol] = []
        var queue = MergeQueue()
    }

    /// Appends the ids of `bytes[range]`, well-formed UTF-8.
    private func encode(
        _ bytes: [UInt8], _ range: Range<Int>, _ workspace: inout Workspace, into ids: inout [Int]
    ) {
        if range.isEmpty { return }
        if ignoresMerges, let id = vocabulary.id(of: bytes, range) {
            ids.append(id)
            return
        }
        split(bytes, range, into: &workspace.symbols)
        merge(&workspace.symbols, &workspace.queue)
        for symbol in workspace.symbols where symbol.isLive { ids.append(Int(symbol.id)) }
    }
}

/// A link of the chain that a pre-token is while it is merged.
private struct Symbol {
    var id: UInt32
    /// Indices of the neighbours, -1 at the ends.
    var previous: Int32
    var next: Int32
    var isLive = true
}

extension BPEModel {
    private static func scalarTokens(_ vocabulary: Vocabulary) -> [Int32] {
        var tokens = [Int32](repeating: -1, count: 0x10000)
        for id in 0..<vocabulary.size {
            guard let token = vocabulary[id], let lead = token.first, lead < 0xF0,
                token.count == UTF8Bytes.length(lead: lead)
            else { continue }
            tokens[Int(UTF8Bytes.scalar(in: Array(token), at: 0).value)] = Int32(id)
        }
        return tokens
    }

    private func token(_ bytes: [UInt8], at index: Int) -> (id: Int?, length: Int) {
        let (value, length) = UTF8Bytes.scalar(in: bytes, at: index)
        if value < 0x10000 {
            let id = scalarTokens[Int(value)]
            return (id < 0 ? nil : Int(id), length)
        }
        return (vocabulary.id(of: bytes, index..<index + length), length)
    }

    /// Characters to symbols. An unknown run is flushed by the next known character only, not by bytes: so does
    /// the reference.
    private func split(_ bytes: [UInt8], _ range: Range<Int>, into symbols: inout [Symbol]) {
        symbols.removeAll(keepingCapacity: true)
        var unknownIsPending = false
        var index = range.lowerBound
        func flush() {
            if unknownIsPending, let unknown { add(unknown, to: &symbols) }
            unknownIsPending = false
        }
        while index < range.upperBound {
            let (id, length) = token(bytes, at: index)
            if let id {
                flush()
                add(id, to: &symbols)
            } else if let fallback = fallback(bytes, index..<index + length) {
                for id in fallback { add(id, to: &symbols) }
            } else {
                if !fusesUnknown { flush() }
                unknownIsPending = true
            }
            index += length
        }
        flush()
        if !symbols.isEmpty { symbols[symbols.count - 1].next = -1 }
    }

    private func add(_ id: Int, to symbols: inout [Symbol]) {
        let index = Int32(symbols.count)
        symbols.append(Symbol(id: UInt32(id), previous: index - 1, next: index + 1))
    }

    /// The byte tokens of one character, if all of them exist.
    private func fallback(_ bytes: [UInt8], _ range: Range<Int>) -> [Int]? {
        if byteTokens.isEmpty { return nil }
        var ids: [Int] = []
        for byte in bytes[range] {
            guard let id = byteTokens[Int(byte)] else { return nil }
            ids.append(id)
        }
        return ids
    }

    private func merge(_ symbols: inout [Symbol], _ queue: inout MergeQueue) {
        if symbols.count < 2 { return }
        queue.removeAll()
        for index in 0..<symbols.count - 1 {
            if let merge = merges[symbols[index].id, symbols[index + 1].id] { queue.push(merge.rank, index) }
        }
        while let (rank, index) = queue.pop() {
            let left = symbols[index]
            guard left.isLive, left.next >= 0 else { continue }
            let right = symbols[Int(left.next)]
            // A pair that has changed since it was queued is stale; the new pair has its own entry.
            guard let merge = merges[left.id, right.id], merge.rank == rank else { continue }
            symbols[Int(left.next)].isLive = false
            symbols[index].id = merge.result
            symbols[index].next = right.next
            if right.next >= 0 {
                symbols[Int(right.next)].previous = Int32(index)
                if let next = merges[merge.result, symbols[Int(right.next)].id] {
                    queue.push(next.rank, index)
                }
            }
            if left.previous >= 0,
                let previous = merges[symbols[Int(left.previous)].id, merge.result]
            {
                queue.push(previous.rank, Int(left.previous))
            }
        }
    }
}
