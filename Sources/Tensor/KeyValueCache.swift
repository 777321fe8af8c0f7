import CKernels

/// The shape of one position's keys and values, over all layers.
package struct KeyValueGeometry: Sendable, Equatable {
    package let layers: Int
    package let keyValueHeads: Int
    package let headSize: Int
    /// F16, else F32.
    package let isHalf: Bool

    /// Positions in one block.
    package static let blockPositions = DK_KEYS
    /// Larger heads do not fit the attention kernel's scratch.
    package static let largestHeadSize = 512

    package init(layers: Int, keyValueHeads: Int, headSize: Int, isHalf: Bool) {
        self.layers = layers
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.isHalf = isHalf
    }

    private var elementBytes: Int { isHalf ? 2 : 4 }
    /// Floats of one value as stored.
    fileprivate var valueStride: Int { headSize.roundedUp(to: 16) }
    fileprivate var keysPerLayer: Int { keyValueHeads * Self.blockPositions * headSize }
    fileprivate var valuesPerLayer: Int { keyValueHeads * Self.blockPositions * valueStride }

    package var blockBytes: Int { layers * (keysPerLayer + valuesPerLayer) * elementBytes }
}

/// `KeyValueGeometry.blockPositions` positions of keys and values, of all layers.
///
/// Written by the sequence that grew it while its positions are filled, and never again: then every sequence that
/// begins with the same tokens under the same weights may read it.
package struct KeyValueBlock: Sendable {
    fileprivate let memory: AlignedMemory

    fileprivate init(_ geometry: KeyValueGeometry, in heap: Heap) throws(ComputeError) {
        memory = try heap.allocate(byteCount: geometry.blockBytes)
    }
}

/// The keys and values of one sequence, grown block by block. Owned by the thread that runs the sequence.
package final class KeyValueCache {
    package let geometry: KeyValueGeometry
    /// Positions written so far.
    package private(set) var count: Int
    package private(set) var blocks: [KeyValueBlock]
    /// Where the blocks lie, for the kernels.
    private var table: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private var tableCapacity: Int

    /// - Parameter blocks: full blocks of a sequence that began with the same tokens under the same weights.
    package init(geometry: KeyValueGeometry, beginningWith blocks: [KeyValueBlock] = []) {
        self.geometry = geometry
        self.blocks = blocks
        count = blocks.count * KeyValueGeometry.blockPositions
        tableCapacity = max(8, blocks.count)
        table = .allocate(capacity: tableCapacity)
        for (index, block) in blocks.enumerated() { (table + index).initialize(to: block.memory.pointer) }
    }

    deinit { table.deallocate() }

    package var byteCount: Int { blocks.count * geometry.blockBytes }
    /// The blocks whose positions are all written.
    package var fullBlocks: ArraySlice<KeyValueBlock> { blocks[..<(count / KeyValueGeometry.blockPositions)] }

    /// Makes room for `tokens` further positions.
    package func reserve(_ tokens: Int, in heap: Heap) throws(ComputeError) {
        while blocks.count * KeyValueGeometry.blockPositions < count + tokens {
            let block = try KeyValueBlock(geometry, in: heap)
            if blocks.count == tableCapacity { growTable() }
            (table + blocks.count).initialize(to: block.memory.pointer)
            blocks.append(block)
        }
    }

    private func growTable() {
        let larger = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 2 * tableCapacity)
        larger.moveInitialize(from: table, count: blocks.count)
        table.deallocate()
        table = larger
        tableCapacity *= 2
    }

    /// A cache of its own that goes on from here: it reads the same full blocks, and has a copy of the one that is being
    /// filled.
    package func branch(in heap: Heap) throws(ComputeError) -> KeyValueCache {
        try branch(at: count, sharing: fullBlocks.count, in: heap)
    }

    /// The same from an earlier position on, and with a copy of all but the first `shared` blocks, so that this one may be
    /// rewound to where they end.
    package func branch(
        at position: Int, sharing shared: Int, in heap: Heap
    ) throws(ComputeError) -> KeyValueCache {
        let branch = KeyValueCache(geometry: geometry, beginningWith: Array(fullBlocks.prefix(shared)))
        let rest = min(position, count) - branch.count
        guard rest > 0 else { return branch }
        try branch.reserve(rest, in: heap)
        for (own, other) in zip(branch.blocks, blocks).dropFirst(shared) {
            own.memory.pointer.copyMemory(from: other.memory.pointer, byteCount: geometry.blockBytes)
        }
        branch.advance(rest)
        return branch
    }

    /// Forgets the positions from `count` on. What is written there next must be nobody else's: none of the full blocks
    /// that the cache began with, nor any that were handed on.
    package func rewind(to count: Int) { self.count = min(count, self.count) }

    /// Says that every layer has stored `tokens` further positions.
    package func advance(_ tokens: Int) { count += tokens }

    /// What the kernels see of one layer; valid until the cache grows.
    func view(layer: Int) -> dk_cache {
        var view = dk_cache()
        view.blocks = UnsafePointer(table)
        view.half = geometry.isHalf
        view.key_offset = Int64(layer * geometry.keysPerLayer)
        view.value_offset = Int64(geometry.layers * geometry.keysPerLayer + layer * geometry.valuesPerLayer)
        view.value_stride = Int64(geometry.valueStride)
        view.kv_heads = Int64(geometry.keyValueHeads)
        view.head_size = Int64(geometry.headSize)
        return view
    }
}
