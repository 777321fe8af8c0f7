/// Sequences of tokens by what they begin with, as a sorted list: those that share a beginning lie side by side, and one
/// that is a beginning of others before them.
struct TokenTrie: Sendable, Equatable {
    /// A beginning, and where in the list lie those that have it.
    struct Node: Hashable, Sendable {
        let places: Range<Int>
        /// Tokens of the beginning.
        let depth: Int
    }

    /// Tokens of one sequence to compute behind `tokens.lowerBound` others, which the run before it has computed.
    struct Run: Sendable {
        let place: Int
        let tokens: Range<Int>
    }

    let sequences: [[Int]]
    /// Indices of `sequences`; of equal ones the first comes first.
    let order: [Int]
    /// How many tokens each in the list shares with the one before it.
    private let shared: [Int]

    init(_ sequences: [[Int]]) {
        let order = sequences.indices.sorted { first, second in
            if sequences[first] == sequences[second] { return first < second }
            return sequences[first].lexicographicallyPrecedes(sequences[second])
        }
        self.sequences = sequences
        self.order = order
        shared = [0] + zip(order, order.dropFirst()).map { Self.common(sequences[$0], sequences[$1]) }
    }

    private static func common(_ first: some Collection<Int>, _ second: some Collection<Int>) -> Int {
        zip(first, second).prefix { $0 == $1 }.count
    }

    var root: Node { Node(places: order.indices, depth: 0) }

    /// The sequence at a place of the list.
    func sequence(at place: Int) -> [Int] { sequences[order[place]] }

    /// The first `depth` tokens of the sequence at a place.
    func node(at place: Int, depth: Int) -> Node {
        var (start, end) = (place, min(place + 1, order.count))
        while start > 0, shared[start] >= depth { start -= 1 }
        while end < order.count, shared[end] >= depth { end += 1 }
        return Node(places: start..<end, depth: depth)
    }

    /// The beginnings that are one token longer.
    func children(of node: Node) -> [Node] {
        var children: [Node] = []
        var start = node.places.first { sequence(at: $0).count > node.depth } ?? node.places.upperBound
        while start < node.places.upperBound {
            let child = self.node(at: start, depth: node.depth + 1)
            children.append(child)
            start = child.places.upperBound
        }
        return children
    }

    /// The first of the sequences that have no further token.
    func end(at node: Node) -> Int? {
        node.places.first.map { order[$0] }.flatMap { sequences[$0].count == node.depth ? $0 : nil }
    }

    /// What to compute so that every token's logits are seen that another can stand behind, each once: for each first
    /// token the runs below it, one after the other.
    var runs: [[Run]] {
        children(of: root).compactMap { child in
            var computed: ArraySlice<Int> = []
            var runs: [Run] = []
            for place in child.places {
                let tokens = sequence(at: place).dropLast()
                let start = Self.common(computed, tokens)
                guard start < tokens.count else { continue }
                runs.append(Run(place: place, tokens: start..<tokens.count))
                computed = tokens
            }
            return runs.isEmpty ? nil : runs
        }
    }
}
