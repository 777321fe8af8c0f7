import DoraLoader
import DoraTensor

extension ModelWeights {
    /// The same weights with every matrix as F32: what the stored codes stand for, without rounded activations.
    func decoded(on compute: Compute) throws -> ModelWeights {
        var copy = self
        for layer in layers.indices {
            for projection in Projection.allCases {
                guard var linear = layers[layer][projection] else { continue }
                linear.matrix = try linear.matrix.decoded(on: compute)
                copy.layers[layer][projection] = linear
            }
        }
        copy.head.matrix = try head.matrix.decoded(on: compute)
        return copy
    }
}

extension PackedMatrix {
    fileprivate func decoded(on compute: Compute) throws -> PackedMatrix {
        try PackedMatrix.build(rows: rows, columns: columns, format: .f32, on: compute) { tile, builder in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: PackedMatrix.tileRows * columns) {
                block in
                guard let block = block.baseAddress else { return }
                unpack(tile: tile, into: block, on: compute)
                builder.store(tile: tile, rows: block)
            }
        }
    }
}
