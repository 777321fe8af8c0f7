import DoraTensor

/// Keys and values of a sequence that nobody computed: normal random numbers, in memory of its own.
struct FilledCache {
    private let compute: Compute
    private let geometry: KeyValueGeometry
    private let full: KeyValueCache
    private let positions: Int

    init(positions: Int, geometry: KeyValueGeometry, on compute: Compute) throws(ComputeError) {
        self.compute = compute
        self.geometry = geometry
        self.positions = positions
        full = KeyValueCache(geometry: geometry)
        try Self.extend(
            full, to: positions / KeyValueGeometry.blockPositions * KeyValueGeometry.blockPositions, compute)
    }

    /// A cache of as many positions, which shares the full blocks.
    func copy() throws(ComputeError) -> KeyValueCache {
        let copy = KeyValueCache(geometry: geometry, beginningWith: Array(full.fullBlocks))
        try Self.extend(copy, to: positions, compute)
        return copy
    }

    private static func extend(_ cache: KeyValueCache, to positions: Int, _ compute: Compute)
        throws(ComputeError)
    {
        let geometry = cache.geometry
        let width = geometry.keyValueHeads * geometry.headSize
        let most = KeyValueGeometry.blockPositions
        var generator = SystemRandomNumberGenerator()
        // Sums of four: near enough to normal for a softmax.
        let values = (0..<2 * most * width).map { _ in
            (0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &generator) }
        }
        while cache.count < positions {
            let count = min(most, positions - cache.count)
            try cache.reserve(count, in: compute.heap)
            let attention = Attention(
                [Attention.Part(cache: cache, rows: 0..<count)], geometry: geometry,
                heads: geometry.keyValueHeads)
            values.withUnsafeBufferPointer { values in
                guard let keys = values.baseAddress else { return }
                for layer in 0..<geometry.layers {
                    attention.store(
                        layer: layer, keys: keys, values: keys + most * width, stride: width, on: compute)
                }
            }
            cache.advance(count)
        }
    }
}
