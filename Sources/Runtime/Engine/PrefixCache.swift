import DoraTensor

/// Full blocks of keys and values of finished prompts, for later requests that begin alike.
///
/// Keyed by the merged adapter and every token from the first on, never by tokens alone: keys and values that one
/// adapter computed are wrong under another. Nor are they right where a sequence's length has them rotated differently.
struct PrefixCache {
    /// A block stands for its own tokens behind those of its parent.
    private struct Key: Hashable {
        let adapter: AdapterIdentity?
        /// Of a first block; those behind it follow it.
        let rotation: Int?
        let parent: Int?
        let tokens: [Int]
    }

    private struct Entry {
        let key: Key
        let block: KeyValueBlock
        /// Running sequences that read the block.
        var users = 0
        var children = 0
        var lastUsed = 0
    }

    private var ids: [Key: Int] = [:]
    private var entries: [Int: Entry] = [:]
    private var nextID = 0
    private var clock = 0

    var blockCount: Int { entries.count }
    /// Those that a running sequence reads.
    var heldCount: Int { entries.values.reduce(0) { $0 + ($1.users > 0 ? 1 : 0) } }

    /// The longest known beginning of `tokens`, at most `limit` of them, held for a sequence until `release`.
    mutating func hold(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: [Int], atMost limit: Int
    ) -> [Int] {
        clock += 1
        var held: [Int] = []
        for range in Self.blocks(of: tokens.prefix(limit)) {
            let key = Key(
                adapter: adapter, rotation: held.isEmpty ? rotation : nil, parent: held.last,
                tokens: Array(tokens[range]))
            guard let id = ids[key] else { break }
            use(id)
            held.append(id)
        }
        return held
    }

    func blocks(_ held: [Int]) -> [KeyValueBlock] { held.compactMap { entries[$0]?.block } }

    /// Adds the blocks of a sequence behind those it already holds.
    /// - Returns: what the sequence now holds. Blocks that the cache already has from another sequence are not added.
    mutating func add(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: ArraySlice<Int>,
        _ blocks: ArraySlice<KeyValueBlock>,
        behind held: [Int]
    ) -> [Int] {
        clock += 1
        var held = held
        for (range, block) in zip(Self.blocks(of: tokens), blocks).dropFirst(held.count) {
            let key = Key(
                adapter: adapter, rotation: held.isEmpty ? rotation : nil, parent: held.last,
                tokens: Array(tokens[range]))
            guard ids[key] == nil else { break }
            ids[key] = nextID
            entries[nextID] = Entry(key: key, block: block)
            if let parent = held.last { entries[parent]?.children += 1 }
            use(nextID)
            held.append(nextID)
            nextID += 1
        }
        return held
    }

    mutating func release(_ held: [Int]) {
        for id in held { entries[id]?.users -= 1 }
    }

    /// Gives up the block that was of no use for longest; false when all are in use.
    mutating func evictOne() -> Bool {
        let idle = entries.filter { $0.value.users == 0 && $0.value.children == 0 }
        guard let oldest = idle.min(by: { ($0.value.lastUsed, $0.key) < ($1.value.lastUsed, $1.key) }) else {
            return false
        }
        remove(oldest.key)
        return true
    }

    /// Forgets an adapter that is gone.
    mutating func drop(_ adapter: AdapterIdentity) {
        for (id, entry) in entries where entry.key.adapter == adapter { remove(id) }
    }

    private mutating func use(_ id: Int) {
        entries[id]?.users += 1
        entries[id]?.lastUsed = clock
    }

    private mutating func remove(_ id: Int) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        ids[entry.key] = nil
        if let parent = entry.key.parent { entries[parent]?.children -= 1 }
    }

    private static func blocks(of tokens: ArraySlice<Int>) -> [Range<Int>] {
        let size = KeyValueGeometry.blockPositions
        return (0..<tokens.count / size).map { index in
            let start = tokens.startIndex + index * size
            return start..<start + size
        }
    }
}
