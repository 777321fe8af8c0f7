/// Blocks of tokens, each behind the one that its text has before it. Those behind the same one are sorted by their tokens:
/// what is most like a text lies where the text would.
struct PrefixTree<Value> {
    /// What a text's first block stands behind.
    struct Root: Hashable {
        let adapter: AdapterIdentity?
        let rotation: Int
    }

    struct Node {
        let root: Root
        let parent: Int?
        let tokens: [Int]
        var value: Value
        /// Sorted by their tokens.
        fileprivate(set) var children: [Int] = []
    }

    var nodes: [Int: Node] = [:]
    /// Sorted by their tokens.
    private var firsts: [Root: [Int]] = [:]
    private var nextID = 0

    private func children(of parent: Int?, in root: Root) -> [Int] {
        parent.map { nodes[$0]?.children ?? [] } ?? firsts[root] ?? []
    }

    /// How many of the siblings come before these tokens.
    private func count(before tokens: some Sequence<Int>, among siblings: [Int]) -> Int {
        var range = 0..<siblings.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            let isBefore = self.tokens(of: siblings[middle]).lexicographicallyPrecedes(tokens)
            range = isBefore ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }

    private func tokens(of id: Int) -> [Int] { nodes[id]?.tokens ?? [] }

    /// The one with exactly these tokens.
    func find(_ tokens: ArraySlice<Int>, behind parent: Int?, in root: Root) -> Int? {
        let siblings = children(of: parent, in: root)
        let place = count(before: tokens, among: siblings)
        guard place < siblings.count, self.tokens(of: siblings[place]).elementsEqual(tokens) else {
            return nil
        }
        return siblings[place]
    }

    /// Of those that are of use, the one that begins with most of the tokens, and with how many; nil if none begins alike.
    func mostAlike(
        _ tokens: ArraySlice<Int>, behind parent: Int?, in root: Root,
        where isUseful: (_ id: Int, _ common: Int) -> Bool
    ) -> (id: Int, common: Int)? {
        let siblings = children(of: parent, in: root)
        func common(_ place: Int) -> Int {
            guard siblings.indices.contains(place) else { return 0 }
            return zip(self.tokens(of: siblings[place]), tokens).prefix { $0 == $1 }.count
        }
        // The farther from the place of the tokens, the less is common.
        var after = count(before: tokens, among: siblings)
        var before = after - 1
        var (below, above) = (common(before), common(after))
        while max(below, above) > 0 {
            let (place, count) = above >= below ? (after, above) : (before, below)
            if isUseful(siblings[place], count) { return (siblings[place], count) }
            if place == after {
                after += 1
                above = common(after)
            } else {
                before -= 1
                below = common(before)
            }
        }
        return nil
    }

    /// The sibling whose tokens a node begins with, if there is one.
    func shorter(than id: Int) -> Int? {
        guard let node = nodes[id] else { return nil }
        let siblings = children(of: node.parent, in: node.root)
        let place = count(before: node.tokens, among: siblings) - 1
        guard place >= 0, node.tokens.starts(with: tokens(of: siblings[place])) else { return nil }
        return siblings[place]
    }

    /// - Precondition: no sibling has these tokens.
    mutating func insert(_ tokens: ArraySlice<Int>, behind parent: Int?, in root: Root, _ value: Value) -> Int
    {
        let id = nextID
        nextID += 1
        let place = count(before: tokens, among: children(of: parent, in: root))
        nodes[id] = Node(root: root, parent: parent, tokens: Array(tokens), value: value)
        if let parent {
            nodes[parent]?.children.insert(id, at: place)
        } else {
            firsts[root, default: []].insert(id, at: place)
        }
        return id
    }

    mutating func remove(_ id: Int) -> Node? {
        guard let node = nodes[id] else { return nil }
        let siblings = children(of: node.parent, in: node.root)
        let place = count(before: node.tokens, among: siblings)
        if let parent = node.parent {
            nodes[parent]?.children.remove(at: place)
        } else if siblings.count > 1 {
            firsts[node.root]?.remove(at: place)
        } else {
            firsts[node.root] = nil
        }
        nodes[id] = nil
        return node
    }
}
