/// `KeyValueGeometry.blockPositions` positions of keys and values, of all layers of a group.
///
/// Written by a step while its positions are filled, and never again: then every sequence that begins with the same
/// tokens under the same weights may read it.
package struct KeyValueBlock: Sendable {
    fileprivate var memory: AlignedMemory

    fileprivate init(_ geometry: KeyValueGeometry, in heap: Heap) throws(ComputeError) {
        memory = try heap.allocate(byteCount: geometry.blockBytes)
    }

    var pointer: UnsafeMutableRawPointer { memory.pointer }

    /// Makes the block nobody else's.
    fileprivate mutating func own(_ geometry: KeyValueGeometry, in heap: Heap) throws(ComputeError) {
        if isKnownUniquelyReferenced(&memory) { return }
        let copy = try heap.allocate(byteCount: geometry.blockBytes)
        copy.pointer.copyMemory(from: memory.pointer, byteCount: geometry.blockBytes)
        memory = copy
    }
}

/// The keys and values of one sequence in the layers of a group: consecutive blocks, the last of which may be partly
/// filled.
///
/// A value. Copies share their blocks until one of them goes on in a block that is partly filled, which it copies then.
package struct KeyValueBlocks: Sendable {
    package let geometry: KeyValueGeometry
    /// Which of the sequence's blocks is the first that is held: no later token sees those before it.
    package private(set) var first: Int
    package private(set) var blocks: [KeyValueBlock]

    init(_ geometry: KeyValueGeometry, first: Int = 0, blocks: [KeyValueBlock] = []) {
        self.geometry = geometry
        self.first = first
        self.blocks = blocks
    }

    package var byteCount: Int { blocks.count * geometry.blockBytes }

    /// A block of the sequence; nil if it is not held.
    package subscript(index: Int) -> KeyValueBlock? {
        blocks.indices.contains(index - first) ? blocks[index - first] : nil
    }

    /// Takes another block for one of those held, with the same keys and values.
    package mutating func replace(_ index: Int, by block: KeyValueBlock) {
        if blocks.indices.contains(index - first) { blocks[index - first] = block }
    }

    /// Makes room for the positions from `count` to `end`, and gives back what the token at `position` does not see.
    mutating func extend(
        from count: Int, to end: Int, seenFrom position: Int, in heap: Heap
    ) throws(ComputeError) {
        let unseen = geometry.firstBlock(seenFrom: position) - first
        if unseen > 0 {
            blocks.removeFirst(min(unseen, blocks.count))
            first += unseen
        }
        let size = KeyValueGeometry.blockPositions
        let filling = count / size - first
        if !count.isMultiple(of: size), blocks.indices.contains(filling) {
            try blocks[filling].own(geometry, in: heap)
        }
        while (first + blocks.count) * size < end { blocks.append(try KeyValueBlock(geometry, in: heap)) }
    }

    /// Forgets the positions from `count` on.
    /// - Precondition: what the token there sees has not been given back.
    mutating func takeBack(to count: Int) {
        precondition(geometry.firstBlock(seenFrom: count) >= first, "taken back to where keys are gone")
        let left = KeyValueGeometry.blocks(count) - first
        if left < blocks.count { blocks.removeLast(blocks.count - max(0, left)) }
    }
}
