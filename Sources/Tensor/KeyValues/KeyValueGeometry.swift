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
    package let format: KeyValueFormat
    private let layout: KeyValueLayout

    /// Positions in one block.
    package static let blockPositions = DK_KEYS
    /// Larger heads do not fit the attention kernel's scratch.
    package static let largestHeadSize = 512

    package init(layers: Int, shape: KeyValueShape, format: KeyValueFormat) {
        self.layers = layers
        self.shape = shape
        self.format = format
        layout = format.layout(layers: layers, shape: shape)
    }

    package var blockBytes: Int { layout.blockBytes }

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
        view.format = format.kernelFormat
        view.key_offset = Int64(layer * layout.keysPerLayer)
        view.value_offset = Int64(layout.firstValue + layer * layout.valuesPerLayer)
        view.scale_offset = Int64(layout.firstScale + layer * layout.scalesPerLayer)
        view.value_stride = Int64(layout.valueStride)
        view.kv_heads = Int64(shape.keyValueHeads)
        view.head_size = Int64(shape.headSize)
        return view
    }
}
