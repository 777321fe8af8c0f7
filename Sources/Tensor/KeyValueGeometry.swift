import CKernels

/// What one layer keeps of each position.
package struct KeyValueShape: Hashable, Sendable {
    package let keyValueHeads: Int
    package let headSize: Int
    /// Keys that a token sees, its own the last; nil for all before it.
    package let window: Int?

    package init(keyValueHeads: Int, headSize: Int, window: Int? = nil) {
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.window = window
    }
}

/// The keys and values of a group: layers of one shape, which lie in the same blocks.
package struct KeyValueGeometry: Sendable, Equatable {
    package let layers: Int
    package let shape: KeyValueShape
    /// F16, else F32.
    package let isHalf: Bool

    /// Positions in one block.
    package static let blockPositions = DK_KEYS
    /// Larger heads do not fit the attention kernel's scratch.
    package static let largestHeadSize = 512

    package init(layers: Int, shape: KeyValueShape, isHalf: Bool) {
        self.layers = layers
        self.shape = shape
        self.isHalf = isHalf
    }

    private var elementBytes: Int { isHalf ? 2 : 4 }
    /// Floats of one value as stored.
    private var valueStride: Int { shape.headSize.roundedUp(to: 16) }
    private var keysPerLayer: Int { shape.keyValueHeads * Self.blockPositions * shape.headSize }
    private var valuesPerLayer: Int { shape.keyValueHeads * Self.blockPositions * valueStride }

    package var blockBytes: Int { layers * (keysPerLayer + valuesPerLayer) * elementBytes }

    /// Blocks that hold so many positions.
    package static func blocks(_ positions: Int) -> Int {
        positions.roundedUp(to: blockPositions) / blockPositions
    }

    /// The first block of which the token at a position, or one behind it, sees anything.
    package func firstBlock(seenFrom position: Int) -> Int {
        guard let window = shape.window else { return 0 }
        return max(0, position - window + 1) / Self.blockPositions
    }

    /// Blocks that a sequence holds at once, at most.
    /// - Parameters:
    ///   - positions: of the sequence.
    ///   - step: most of them that are computed together.
    package func mostBlocks(positions: Int, step: Int) -> Int {
        let all = Self.blocks(positions)
        return shape.window.map { min(all, Self.blocks($0 + step) + 1) } ?? all
    }

    /// What the kernels need to know of one of the layers, but for where blocks lie.
    func view(layer: Int) -> dk_cache {
        var view = dk_cache()
        view.half = isHalf
        view.key_offset = Int64(layer * keysPerLayer)
        view.value_offset = Int64(layers * keysPerLayer + layer * valuesPerLayer)
        view.value_stride = Int64(valueStride)
        view.kv_heads = Int64(shape.keyValueHeads)
        view.head_size = Int64(shape.headSize)
        return view
    }
}
