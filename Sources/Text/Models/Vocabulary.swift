import Glibc

/// Tokens by id and ids by token. Keys are bytes: as a Swift `String` the composed and the decomposed spelling
/// of a word would be one key, and a vocabulary has both.
struct Vocabulary: Sendable {
    /// Ids at or above this are refused, since tables are indexed by id. The largest known vocabulary has 0.3 M.
    static let idLimit = 1 << 22

    private struct Slot: Sendable {
        var hash: UInt32
        /// -1 where the slot is free.
        var id: Int32
    }

    private struct Span: Sendable {
        var start: UInt32
        /// -1 where no token has the id.
        var length: Int32
    }

    enum Insertion: Equatable {
        case inserted
        case duplicateToken(id: Int)
        case duplicateID
    }

    /// All tokens end to end.
    private var text: [UInt8] = []
    private var spans: [Span] = []
    private var slots: [Slot]
    private(set) var count = 0

    init(expecting tokens: Int = 1 << 12) {
        var capacity = 16
        while capacity < tokens * 2 { capacity *= 2 }
        slots = Array(repeating: Slot(hash: 0, id: -1), count: capacity)
    }

    /// The highest id + 1.
    var size: Int { spans.count }

    /// The bytes of a token; nil if no token has the id.
    subscript(id: Int) -> ArraySlice<UInt8>? {
        guard id >= 0, id < spans.count, spans[id].length >= 0 else { return nil }
        let start = Int(spans[id].start)
        return text[start..<start + Int(spans[id].length)]
    }

    func id(of token: [UInt8]) -> Int? { id(of: token, token.startIndex..<token.endIndex) }

    /// The id of the token that is `bytes[range]`.
    func id(of bytes: [UInt8], _ range: Range<Int>) -> Int? {
        bytes.withUnsafeBytes { all in
            let token = UnsafeRawBufferPointer(rebasing: all[range])
            let id = slots[find(token, hash: Self.hash(token))].id
            return id < 0 ? nil : Int(id)
        }
    }

    /// As `id(of:_:)`, for a token that is likely to have the id `guess`: tokens mostly stand in the order of the
    /// merges that make them, and neighbours in memory are found sooner than anything by hash.
    func id(of bytes: [UInt8], guess: Int) -> Int? {
        let isRight = spans.indices.contains(guess) && bytes.withUnsafeBytes { holds(guess, $0) }
        return isRight ? guess : id(of: bytes)
    }

    /// Adds a token; `id` must be within `0..<idLimit`.
    mutating func insert(_ token: [UInt8], id: Int) -> Insertion {
        if (count + 1) * 2 > slots.count { grow() }
        let (hash, slot) = token.withUnsafeBytes { bytes in
            let hash = Self.hash(bytes)
            return (hash, find(bytes, hash: hash))
        }
        if slots[slot].id >= 0 { return .duplicateToken(id: Int(slots[slot].id)) }
        while spans.count <= id { spans.append(Span(start: 0, length: -1)) }
        if spans[id].length >= 0 { return .duplicateID }
        spans[id] = Span(start: UInt32(text.count), length: Int32(token.count))
        text.append(contentsOf: token)
        slots[slot] = Slot(hash: hash, id: Int32(id))
        count += 1
        return .inserted
    }

    /// The slot that holds `token`, or the free one where it belongs.
    private func find(_ token: UnsafeRawBufferPointer, hash: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while true {
            let entry = slots[slot]
            if entry.id < 0 || (entry.hash == hash && holds(Int(entry.id), token)) { return slot }
            slot = (slot + 1) & mask
        }
    }

    private func holds(_ id: Int, _ token: UnsafeRawBufferPointer) -> Bool {
        let span = spans[id]
        guard Int(span.length) == token.count else { return false }
        if token.isEmpty { return true }
        return text.withUnsafeBytes { all in
            guard let first = all.baseAddress, let other = token.baseAddress else { return false }
            return memcmp(first + Int(span.start), other, token.count) == 0
        }
    }

    private mutating func grow() {
        var larger = Array(repeating: Slot(hash: 0, id: -1), count: slots.count * 2)
        let mask = larger.count - 1
        for entry in slots where entry.id >= 0 {
            var slot = Int(entry.hash) & mask
            while larger[slot].id >= 0 { slot = (slot + 1) & mask }
            larger[slot] = entry
        }
        slots = larger
    }

    /// Multiplies eight bytes at a time; tokens are short, so set-up counts more than throughput.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
        var hash = UInt64(bytes.count) &* factor
        var index = 0
        while index + 8 <= bytes.count {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) &* factor
            hash ^= hash >> 32
            index += 8
        }
        var tail: UInt64 = 0
        while index < bytes.count {
            tail = tail << 8 | UInt64(bytes[index])
            index += 1
        }
        hash = (hash ^ tail) &* factor
        hash = (hash ^ hash >> 32) &* factor
        return UInt32(truncatingIfNeeded: hash >> 32)
    }
}
