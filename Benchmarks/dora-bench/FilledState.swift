import DoraRuntime
import DoraTensor

/// What would be kept of a sequence that nobody computed: normal random numbers, in memory of its own.
struct FilledState {
    /// A copy shares the full blocks.
    let state: SequenceState

    init(positions: Int, geometry: StateGeometry, on compute: Compute) throws(ComputeError) {
        var state = SequenceState(geometry)
        let widths = geometry.groups.map { $0.shape.keyValueHeads * $0.shape.headSize }
        let (most, width) = (KeyValueGeometry.blockPositions, widths.max() ?? 0)
        var generator = SystemRandomNumberGenerator()
        // Sums of four: near enough to normal for a softmax.
        let values = (0..<2 * most * width).map { _ in
            (0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &generator) }
        }
        while state.count < positions {
            let (position, count) = (state.count, min(most, positions - state.count))
            try state.extend(by: count, in: compute.heap)
            let attention = Attention(
                [Attention.Part(state: state, position: position, rows: 0..<count)], geometry: geometry,
                heads: geometry.groups[0].shape.keyValueHeads)
            values.withUnsafeBufferPointer { values in
                guard let keys = values.baseAddress else { return }
                for layer in 0..<geometry.layers {
                    attention.store(
                        layer: layer, keys: keys, values: keys + most * width, stride: width, on: compute)
                }
            }
        }
        self.state = state
    }
}
