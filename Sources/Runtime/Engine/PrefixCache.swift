import DoraTensor

/// Full blocks of what was kept of prompts and texts, for later requests that begin alike.
///
/// A tree: a node stands for a block's tokens behind those of its parent, and has the blocks of each group of layers.
/// Keyed by the merged adapter and every token from the first on, never by tokens alone: keys and values that one
/// adapter computed are wrong under another. Nor are they right where a sequence's length has them rotated differently.
/// A beginning can be gone on from where all is there that the token behind it sees: of layers that see all before them
/// every block, of others those of a window, so that each block of these can be given up by itself.
struct PrefixCache {
    /// What a sequence uses of the tree.
    struct Hold {
        /// From the first block on.
        fileprivate(set) var nodes: [Int] = []
        /// Blocks that are not given up as long as it reads them.
        fileprivate var pins: [(node: Int, group: Int)] = []

        var count: Int { nodes.count }
    }

    private struct Key: Hashable {
        let adapter: AdapterIdentity?
        /// Of a first node; those behind it follow it.
        let rotation: Int?
        let parent: Int?
        let tokens: [Int]
    }

    private struct Slot {
        let block: KeyValueBlock
        /// Running sequences that pin it.
        var users = 0
        var lastUsed: Int
    }

    private struct Node {
        let key: Key
        /// By group; nil for a block that was given up or never there.
        var slots: [Slot?]
        /// Running sequences that have it.
        var users = 0
        var children = 0

        /// Whether nothing needs it.
        var isBare: Bool { users == 0 && children == 0 && slots.allSatisfy { $0 == nil } }
    }

    private let geometry: StateGeometry
    private var ids: [Key: Int] = [:]
    private var nodes: [Int: Node] = [:]
    private var nextID = 0
    private var clock = 0
    private(set) var byteCount = 0
    /// Bytes of blocks that a running sequence pins.
    private(set) var pinnedBytes = 0

    init(_ geometry: StateGeometry) { self.geometry = geometry }

    /// The longest known beginning of `tokens` from which a sequence can go on, at most `limit` of them, held for it until
    /// `release`.
    /// - Parameter keeps: by group, whether the sequence keeps its blocks to its end; only such are pinned.
    mutating func hold(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: [Int], atMost limit: Int, keeps: [Bool]
    ) -> Hold {
        clock += 1
        var known: [Int] = []
        for range in Self.blocks(of: tokens.prefix(limit)) {
            let key = Key(
                adapter: adapter, rotation: known.isEmpty ? rotation : nil, parent: known.last,
                tokens: Array(tokens[range]))
            guard let id = ids[key] else { break }
            known.append(id)
        }
        while !known.isEmpty, !isWhole(known) { known.removeLast() }
        var hold = Hold()
        for id in known {
            nodes[id]?.users += 1
            hold.nodes.append(id)
        }
        for (group, range) in seen(behind: known.count).enumerated() {
            for id in known[range] { use(id, group, pinnedBy: &hold, keeps[group]) }
        }
        return hold
    }

    /// By group the blocks that the token behind so many blocks sees.
    private func seen(behind count: Int) -> [Range<Int>] {
        geometry.groups.map { $0.firstBlock(seenFrom: count * KeyValueGeometry.blockPositions)..<count }
    }

    /// Whether a sequence can go on behind these nodes.
    private func isWhole(_ known: [Int]) -> Bool {
        zip(geometry.groups.indices, seen(behind: known.count)).allSatisfy { group, range in
            // Of layers that see all before them, no node lacks its block.
            geometry.groups[group].shape.window == nil
                || known[range].allSatisfy { nodes[$0]?.slots[group] != nil }
        }
    }

    /// The state of a sequence that goes on from what it holds.
    func state(_ hold: Hold) -> SequenceState {
        let held = seen(behind: hold.count).enumerated().map { group, range in
            hold.nodes[range].compactMap { nodes[$0]?.slots[group]?.block }
        }
        return SequenceState(geometry, beginningWith: hold.count, held: held)
    }

    /// Adds the full blocks of a sequence behind those it already holds. Where the cache has one of another sequence, that
    /// is taken in its place.
    /// - Parameters:
    ///   - tokens: whose state it is.
    ///   - room: bytes by which the cache may grow; it makes room of its own for blocks that the sequence goes on paying for.
    /// - Returns: bytes that the sequence need not pay for any more.
    mutating func add(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: ArraySlice<Int>, of state: inout SequenceState,
        to hold: inout Hold, keeps: [Bool], room: Int
    ) -> Int {
        clock += 1
        var (room, shared) = (room, 0)
        for (index, range) in Self.blocks(of: tokens).enumerated().dropFirst(hold.count) {
            let id = node(
                Key(
                    adapter: adapter, rotation: hold.nodes.isEmpty ? rotation : nil, parent: hold.nodes.last,
                    tokens: Array(tokens[range])))
            nodes[id]?.users += 1
            hold.nodes.append(id)
            for (group, geometry) in geometry.groups.enumerated() {
                guard let own = state.keyValues[group][index] else { continue }
                let known = nodes[id]?.slots[group]?.block
                if keeps[group] {
                    if let known { state.replace(index, of: group, by: known) }
                    shared += geometry.blockBytes
                } else if known == nil {
                    while room < geometry.blockBytes, let freed = evictOne() { room += freed }
                    guard room >= geometry.blockBytes else { continue }
                    room -= geometry.blockBytes
                }
                if known == nil {
                    nodes[id]?.slots[group] = Slot(block: own, lastUsed: clock)
                    byteCount += geometry.blockBytes
                }
                use(id, group, pinnedBy: &hold, keeps[group])
            }
        }
        return shared
    }

    mutating func release(_ hold: Hold) {
        for (id, group) in hold.pins { pin(id, group, -1) }
        for id in hold.nodes.reversed() {
            nodes[id]?.users -= 1
            removeIfBare(id)
        }
    }

    /// Gives up the block that was of no use for longest.
    /// - Returns: its bytes, and those of what is of no use without it; nil when all are in use.
    mutating func evictOne() -> Int? {
        var oldest: (lastUsed: Int, id: Int, group: Int)?
        for (id, node) in nodes {
            for (group, slot) in node.slots.enumerated() {
                guard let slot, slot.users == 0, !isNeeded(group, of: node) else { continue }
                let candidate = (slot.lastUsed, id, group)
                if oldest.map({ candidate < $0 }) ?? true { oldest = candidate }
            }
        }
        guard let (_, id, group) = oldest else { return nil }
        let before = byteCount
        if geometry.groups[group].shape.window == nil {
            remove(id)
        } else {
            nodes[id]?.slots[group] = nil
            byteCount -= geometry.groups[group].blockBytes
            removeIfBare(id)
        }
        return before - byteCount
    }

    /// Whether blocks behind a node are of no use without the one that it has of a group.
    private func isNeeded(_ group: Int, of node: Node) -> Bool {
        geometry.groups[group].shape.window == nil && (node.users > 0 || node.children > 0)
    }

    /// Forgets an adapter that is gone.
    mutating func drop(_ adapter: AdapterIdentity) {
        for (id, node) in nodes where node.key.adapter == adapter { remove(id) }
    }

    private mutating func use(_ id: Int, _ group: Int, pinnedBy hold: inout Hold, _ isKept: Bool) {
        nodes[id]?.slots[group]?.lastUsed = clock
        guard isKept else { return }
        pin(id, group, 1)
        hold.pins.append((id, group))
    }

    private mutating func pin(_ id: Int, _ group: Int, _ change: Int) {
        guard let users = nodes[id]?.slots[group]?.users else { return }
        nodes[id]?.slots[group]?.users = users + change
        if users == 0 { pinnedBytes += geometry.groups[group].blockBytes }
        if users + change == 0 { pinnedBytes -= geometry.groups[group].blockBytes }
    }

    private mutating func node(_ key: Key) -> Int {
        if let id = ids[key] { return id }
        defer { nextID += 1 }
        ids[key] = nextID
        nodes[nextID] = Node(key: key, slots: geometry.groups.map { _ in nil })
        if let parent = key.parent { nodes[parent]?.children += 1 }
        return nextID
    }

    private mutating func removeIfBare(_ id: Int) {
        if nodes[id]?.isBare == true { remove(id) }
    }

    private mutating func remove(_ id: Int) {
        guard let node = nodes.removeValue(forKey: id) else { return }
        for (slot, group) in zip(node.slots, geometry.groups) where slot != nil {
            byteCount -= group.blockBytes
            if let slot, slot.users > 0 { pinnedBytes -= group.blockBytes }
        }
        ids[node.key] = nil
        guard let parent = node.key.parent else { return }
        nodes[parent]?.children -= 1
        removeIfBare(parent)
    }

    private static func blocks(of tokens: ArraySlice<Int>) -> [Range<Int>] {
        let size = KeyValueGeometry.blockPositions
        return (0..<tokens.count / size).map { index in
            let start = tokens.startIndex + index * size
            return start..<start + size
        }
    }
}
