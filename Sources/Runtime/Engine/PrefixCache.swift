import DoraTensor

/// Blocks of what was kept of prompts and texts, for later requests that begin alike.
///
/// A tree: a node stands for a block's tokens behind those of its parent, and has the blocks of each group of layers.
/// Keyed by the merged adapter and every token from the first on, never by tokens alone: keys and values that one
/// adapter computed are wrong under another. Nor are they right where a sequence's length has them rotated differently.
/// A beginning can be gone on from where all is there that the token behind it sees: of layers that see all before them
/// every block, of others those of a window, so that each block of these can be given up by itself.
///
/// Full blocks are read where they lie. Of the block in which a text parts from what is known, as many positions are taken
/// as are alike: who goes on in it copies it. Such a block need not be full; then nothing stands behind it, and it is there
/// for all groups.
struct PrefixCache {
    /// What a sequence uses of the tree.
    struct Hold {
        /// Full blocks, from the first on.
        fileprivate(set) var nodes: [Int] = []
        /// Blocks that are not given up as long as it reads them.
        fileprivate var pins: [Place] = []

        var count: Int { nodes.count }
    }

    /// What becomes of a block that a sequence has not filled.
    enum Tail {
        /// It is not added.
        case kept
        /// It is added; the sequence, which goes on in a copy, goes on paying for that.
        case copied
        /// It is added, and the sequence is at its end.
        case left
    }

    fileprivate struct Place: Hashable {
        let node: Int
        let group: Int
    }

    private struct Slot {
        let block: KeyValueBlock
        /// Running sequences that pin it.
        var users = 0
    }

    private struct Blocks {
        /// By group; nil for a block that was given up or never there.
        var slots: [Slot?]
        /// Running sequences that have it.
        var users = 0
    }

    private typealias Tree = PrefixTree<Blocks>
    private static let size = KeyValueGeometry.blockPositions

    private let geometry: StateGeometry
    private var tree = Tree()
    /// Blocks that nobody pins.
    private var idle = RecencyList<Place>()
    private(set) var byteCount = 0
    /// Bytes of blocks that a running sequence pins.
    private(set) var pinnedBytes = 0

    init(_ geometry: StateGeometry) { self.geometry = geometry }

    /// The longest known beginning of `tokens` from which a sequence can go on, at most `limit` of them; the full blocks of it
    /// are held for the sequence until `release`. The rest it pays for.
    /// - Parameter keeps: by group, whether the sequence keeps its blocks to its end; only such are pinned.
    mutating func hold(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: [Int], atMost limit: Int, keeps: [Bool]
    ) -> (hold: Hold, state: SequenceState) {
        let (root, tokens) = (Tree.Root(adapter: adapter, rotation: rotation), tokens.prefix(limit))
        var known: [Int] = []
        for range in Self.blocks(of: tokens) {
            guard let id = tree.find(tokens[range], behind: known.last, in: root) else { break }
            known.append(id)
        }
        while !known.isEmpty, !isWhole(known, of: known.count * Self.size) { known.removeLast() }
        let full = known.count * Self.size
        let rest = tokens.dropFirst(full).prefix(Self.size)
        let tail = tree.mostAlike(rest, behind: known.last, in: root) { id, common in
            isWhole(known + [id], of: full + common)
        }
        let (all, count) = tail.map { (known + [$0.id], full + $0.common) } ?? (known, full)
        let held = seen(from: count).enumerated().map { group, first in
            all[first...].compactMap { tree.nodes[$0]?.value.slots[group]?.block }
        }
        if let tail { touch(tail.id) }
        var hold = Hold(nodes: known)
        for id in known { tree.nodes[id]?.value.users += 1 }
        for (group, first) in seen(from: full).enumerated() {
            for id in known[first...] { use(id, group, pinnedBy: &hold, keeps[group]) }
        }
        return (hold, SequenceState(geometry, beginningWith: count, held: held))
    }

    /// By group the first block that the token at a position sees.
    private func seen(from position: Int) -> [Int] {
        geometry.groups.map { $0.firstBlock(seenFrom: position) }
    }

    /// Whether a sequence can go on behind these nodes.
    /// - Parameter count: tokens, the last of them in the last node.
    private func isWhole(_ known: [Int], of count: Int) -> Bool {
        seen(from: count).enumerated().allSatisfy { group, first in
            // Of layers that see all before them, no node lacks its block.
            geometry.groups[group].shape.window == nil
                || known[first...].allSatisfy { tree.nodes[$0]?.value.slots[group] != nil }
        }
    }

    /// Adds the blocks of a sequence behind those it already holds. Where the cache has one of another sequence, that is
    /// taken in its place.
    /// - Parameters:
    ///   - tokens: whose state it is.
    ///   - room: bytes by which the cache may grow; it makes room of its own for blocks that the sequence goes on paying for.
    /// - Returns: bytes that the sequence need not pay for any more.
    mutating func add(
        _ adapter: AdapterIdentity?, rotation: Int, _ tokens: ArraySlice<Int>, of state: inout SequenceState,
        to hold: inout Hold, keeps: [Bool], room: Int, tail: Tail
    ) -> Int {
        let root = Tree.Root(adapter: adapter, rotation: rotation)
        var (room, shared) = (room, 0)
        for (index, range) in Self.blocks(of: tokens).enumerated().dropFirst(hold.count) {
            let id = node(tokens[range], behind: hold.nodes.last, in: root)
            tree.nodes[id]?.value.users += 1
            hold.nodes.append(id)
            for (group, geometry) in geometry.groups.enumerated() {
                guard let own = state.keyValues[group][index] else { continue }
                let known = tree.nodes[id]?.value.slots[group]?.block
                if keeps[group] {
                    if let known { state.replace(index, of: group, by: known) }
                    shared += geometry.blockBytes
                } else if known == nil {
                    guard makeRoom(for: geometry.blockBytes, in: &room) else { continue }
                }
                if known == nil { put(own, id, group) }
                use(id, group, pinnedBy: &hold, keeps[group])
            }
            removeShorter(than: id)
        }
        let rest = tokens.dropFirst(hold.count * Self.size)
        guard tail != .kept, !rest.isEmpty else { return shared }
        return shared
            + addTail(rest, of: state, behind: hold, in: root, paid: tail == .left ? keeps : nil, room: &room)
    }

    /// - Parameter paid: by group, whether the sequence leaves what it paid for.
    private mutating func addTail(
        _ tokens: ArraySlice<Int>, of state: SequenceState, behind hold: Hold, in root: Tree.Root,
        paid: [Bool]?,
        room: inout Int
    ) -> Int {
        let own = state.keyValues.compactMap { $0[hold.count] }
        guard own.count == geometry.groups.count else { return 0 }
        let known = tree.mostAlike(tokens, behind: hold.nodes.last, in: root) { id, common in
            common == tokens.count && isWhole(id)
        }
        if let known {
            touch(known.id)
            return 0
        }
        let left = zip(geometry.groups, paid ?? []).reduce(0) { $0 + ($1.1 ? $1.0.blockBytes : 0) }
        guard tree.find(tokens, behind: hold.nodes.last, in: root) == nil,
            makeRoom(for: geometry.blockBytes - left, in: &room)
        else { return 0 }
        let id = node(tokens, behind: hold.nodes.last, in: root)
        for (group, block) in own.enumerated() { put(block, id, group) }
        touch(id)
        removeShorter(than: id)
        return left
    }

    mutating func release(_ hold: Hold) {
        // What others stand behind last, so that it is given up after them.
        for place in hold.pins.reversed() { pin(place, -1) }
        for id in hold.nodes.reversed() {
            tree.nodes[id]?.value.users -= 1
            removeIfBare(id)
        }
    }

    /// Gives up the block that was of no use for longest.
    /// - Returns: its bytes, and those of what is of no use without it; nil when all are in use.
    mutating func evictOne() -> Int? {
        guard let place = idle.first(where: { !isNeeded($0) }), let node = tree.nodes[place.node] else {
            return nil
        }
        let before = byteCount
        if geometry.groups[place.group].shape.window == nil || node.tokens.count < Self.size {
            remove(place.node)
        } else {
            take(place)
            removeIfBare(place.node)
        }
        return before - byteCount
    }

    private mutating func makeRoom(for bytes: Int, in room: inout Int) -> Bool {
        while room < bytes, let freed = evictOne() { room += freed }
        guard room >= bytes else { return false }
        room -= bytes
        return true
    }

    /// Whether blocks behind a node are of no use without the one that it has of a group.
    private func isNeeded(_ place: Place) -> Bool {
        guard geometry.groups[place.group].shape.window == nil, let node = tree.nodes[place.node] else {
            return false
        }
        return node.value.users > 0 || !node.children.isEmpty
    }

    /// Forgets an adapter that is gone.
    mutating func drop(_ adapter: AdapterIdentity) {
        for (id, node) in tree.nodes where node.root.adapter == adapter { remove(id) }
    }

    // MARK: Nodes

    private mutating func node(_ tokens: ArraySlice<Int>, behind parent: Int?, in root: Tree.Root) -> Int {
        tree.find(tokens, behind: parent, in: root)
            ?? tree.insert(tokens, behind: parent, in: root, Blocks(slots: geometry.groups.map { _ in nil }))
    }

    /// Whether it has blocks of all groups.
    private func isWhole(_ id: Int) -> Bool {
        tree.nodes[id]?.value.slots.allSatisfy { $0 != nil } == true
    }

    private mutating func put(_ block: KeyValueBlock, _ id: Int, _ group: Int) {
        tree.nodes[id]?.value.slots[group] = Slot(block: block)
        byteCount += geometry.groups[group].blockBytes
    }

    private mutating func take(_ place: Place) {
        guard let slot = tree.nodes[place.node]?.value.slots[place.group] else { return }
        tree.nodes[place.node]?.value.slots[place.group] = nil
        idle.remove(place)
        byteCount -= geometry.groups[place.group].blockBytes
        if slot.users > 0 { pinnedBytes -= geometry.groups[place.group].blockBytes }
    }

    private mutating func touch(_ id: Int) {
        for group in geometry.groups.indices { touch(Place(node: id, group: group)) }
    }

    private mutating func touch(_ place: Place) {
        if tree.nodes[place.node]?.value.slots[place.group]?.users == 0 { idle.use(place) }
    }

    private mutating func use(_ id: Int, _ group: Int, pinnedBy hold: inout Hold, _ isKept: Bool) {
        let place = Place(node: id, group: group)
        guard isKept else { return touch(place) }
        pin(place, 1)
        hold.pins.append(place)
    }

    private mutating func pin(_ place: Place, _ change: Int) {
        guard let users = tree.nodes[place.node]?.value.slots[place.group]?.users else { return }
        tree.nodes[place.node]?.value.slots[place.group]?.users = users + change
        let bytes = geometry.groups[place.group].blockBytes
        if users == 0 {
            idle.remove(place)
            pinnedBytes += bytes
        }
        if users + change == 0 {
            pinnedBytes -= bytes
            touch(place)
        }
    }

    /// A block that is not full is of no use beside one that begins with it.
    private mutating func removeShorter(than id: Int) {
        if isWhole(id), let shorter = tree.shorter(than: id) { remove(shorter) }
    }

    private mutating func removeIfBare(_ id: Int) {
        guard let node = tree.nodes[id], node.value.users == 0, node.children.isEmpty,
            node.value.slots.allSatisfy({ $0 == nil })
        else { return }
        remove(id)
    }

    private mutating func remove(_ id: Int) {
        for group in geometry.groups.indices { take(Place(node: id, group: group)) }
        if let parent = tree.remove(id)?.parent { removeIfBare(parent) }
    }

    private static func blocks(of tokens: ArraySlice<Int>) -> [Range<Int>] {
        (0..<tokens.count / size).map { index in
            let start = tokens.startIndex + index * size
            return start..<start + size
        }
    }
}
