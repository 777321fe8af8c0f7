/// Finds the longest of many byte strings at the first place where any of them stands.
struct ByteTrie: Sendable {
    private struct Node: Sendable {
        var byte: UInt8
        /// -1 where no string ends.
        var value: Int32 = -1
        /// Index of the first child and of the next node with the same parent; 0, the root's, stands for none.
        var child: Int32 = 0
        var sibling: Int32 = 0
    }

    private var nodes = [Node(byte: 0)]
    /// By first byte: the root's child.
    private var roots = [Int32](repeating: 0, count: 256)

    var isEmpty: Bool { nodes.count == 1 }

    /// False if the string is empty or there already.
    mutating func insert(_ bytes: [UInt8], value: Int) -> Bool {
        var node = 0
        for byte in bytes { node = child(of: node, byte) ?? addChild(to: node, byte) }
        guard node != 0, nodes[node].value < 0 else { return false }
        nodes[node].value = Int32(value)
        return true
    }

    /// The leftmost match in `bytes[range]`, the longest of those that begin there.
    func firstMatch(in bytes: [UInt8], _ range: Range<Int>) -> (range: Range<Int>, value: Int)? {
        for start in range where roots[Int(bytes[start])] != 0 {
            var node = 0
            var index = start
            var best: (range: Range<Int>, value: Int)?
            while index < range.upperBound, let next = child(of: node, bytes[index]) {
                node = next
                index += 1
                if nodes[node].value >= 0 { best = (start..<index, Int(nodes[node].value)) }
            }
            if let best { return best }
        }
        return nil
    }

    /// Calls `body` for every string that `bytes[range]` begins with, the shortest first.
    func forEachPrefix(of bytes: [UInt8], _ range: Range<Int>, _ body: (_ count: Int, _ value: Int) -> Void) {
        var node = 0
        for index in range {
            guard let next = child(of: node, bytes[index]) else { return }
            node = next
            if nodes[node].value >= 0 { body(index + 1 - range.lowerBound, Int(nodes[node].value)) }
        }
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        if node == 0 { return roots[Int(byte)] == 0 ? nil : Int(roots[Int(byte)]) }
        var child = Int(nodes[node].child)
        while child != 0, nodes[child].byte != byte { child = Int(nodes[child].sibling) }
        return child == 0 ? nil : child
    }

    private mutating func addChild(to node: Int, _ byte: UInt8) -> Int {
        let new = nodes.count
        nodes.append(Node(byte: byte, sibling: node == 0 ? 0 : nodes[node].child))
        if node == 0 { roots[Int(byte)] = Int32(new) } else { nodes[node].child = Int32(new) }
        return new
    }
}
