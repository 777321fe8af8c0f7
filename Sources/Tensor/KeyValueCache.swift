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

/// The keys and values of one sequence, grown block by block. Owned by the thread that runs the sequence.
package final class KeyValueCache {
    package let geometry: KeyValueGeometry
    /// Positions written so far.
    package private(set) var count = 0
    private var blocks: [AlignedMemory] = []
    private var pointers: [UnsafeMutableRawPointer?] = []

    package init(geometry: KeyValueGeometry) {
        self.geometry = geometry
    }

    package var byteCount: Int { blocks.count * geometry.blockBytes }

    /// Makes room for `tokens` further positions.
    package func reserve(_ tokens: Int) throws(ComputeError) {
        while pointers.count * KeyValueGeometry.blockPositions < count + tokens {
            let block = try AlignedMemory(byteCount: geometry.blockBytes)
            blocks.append(block)
            pointers.append(block.pointer)
        }
    }

    /// Says that every layer has stored `tokens` further positions.
    package func advance(_ tokens: Int) { count += tokens }

    private func withLayer<Result>(_ layer: Int, _ body: (UnsafePointer<dk_cache>) -> Result) -> Result {
        pointers.withUnsafeBufferPointer { pointers in
            var view = dk_cache()
            view.blocks = pointers.baseAddress
            view.half = geometry.isHalf
            view.key_offset = Int64(layer * geometry.keysPerLayer)
            view.value_offset = Int64(
                geometry.layers * geometry.keysPerLayer + layer * geometry.valuesPerLayer)
            view.value_stride = Int64(geometry.valueStride)
            view.kv_heads = Int64(geometry.keyValueHeads)
            view.head_size = Int64(geometry.headSize)
            return body(&view)
        }
    }

    /// Writes `tokens` rows of keys and values, `[tokens, keyValueHeads * headSize]`, behind the positions so far.
    package func store(
        layer: Int, tokens: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, on compute: Compute
    ) {
        let width = geometry.keyValueHeads * geometry.headSize
        withLayer(layer) { view in
            for token in 0..<tokens {
                compute.kernels.pointee.store(
                    view, Int64(count + token), keys + token * width, values + token * width)
            }
        }
    }

    /// Causal attention of `tokens` rows at the positions just stored: `queries` and `out`
    /// `[tokens, heads * headSize]`, heads grouped by the key-value head that they share.
    package func attend(
        layer: Int, tokens: Int, heads: Int, queries: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
        on compute: Compute
    ) {
        let group = heads / geometry.keyValueHeads
        let stride = heads * geometry.headSize
        let scale = 1 / Float(geometry.headSize).squareRoot()
        let tokensPerTask = 8
        let tasksPerHead = tokens.roundedUp(to: tokensPerTask) / tokensPerTask
        withLayer(layer) { view in
            compute.parallel(geometry.keyValueHeads * tasksPerHead) { task in
                // The last tokens have the most keys: they go first, so that no thread is left with them.
                let head = task % geometry.keyValueHeads
                let first = (tasksPerHead - 1 - task / geometry.keyValueHeads) * tokensPerTask
                let offset = first * stride + head * group * geometry.headSize
                compute.kernels.pointee.attend(
                    view, Int64(head), Int64(group), Int64(count + first),
                    Int64(min(tokensPerTask, tokens - first)), scale, queries + offset, out + offset,
                    Int64(stride))
            }
        }
    }
}
