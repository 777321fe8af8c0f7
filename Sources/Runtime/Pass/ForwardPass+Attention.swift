import DoraLoader
import DoraTensor

/// The first half of a layer.
extension ForwardPass {
    /// Adds what a layer's attention makes of the residual. In a parallel layer `memory.normed` still holds what it read.
    func attend(_ layer: Int, _ step: LayerStep) throws {
        let configuration = configuration
        let size = configuration.headSize
        let (queries, keys) = (configuration.attentionHeads * size, configuration.keyValueHeads * size)
        let rows = memory.projections
        readResidual(layer, .beforeAttention, step)
        try product.multiply(
            memory.normed, parts: step.parts,
            into: [
                (.queryKeyValue, rows.floats), (.query, rows.floats), (.key, rows.floats + queries),
                (.value, rows.floats + queries + keys),
            ].compactMap { target(layer, $0, at: $1, stride: rows.columns) })
        if let limit = configuration.scales.clip {
            compute.parallel(step.tokens) { compute.clip(rows.row($0), to: limit, count: rows.columns) }
        }
        prepareQueriesAndKeys(layer, step)
        step.attention.store(
            layer: layer, keys: rows.floats + queries, values: rows.floats + queries + keys,
            stride: rows.columns, on: compute)
        step.attention.attend(
            layer: layer, configuration.layers[layer].attention, queries: rows.floats, stride: rows.columns,
            out: memory.attended.floats, on: compute)
        memory.attended.refill(tokens: step.tokens)
        try project(memory.attended, by: .output, layer, step, norm: .afterAttention)
    }

    /// Norms and rotates each token's queries and keys, and lets queries grow.
    private func prepareQueriesAndKeys(_ layer: Int, _ step: LayerStep) {
        let norm = configuration.queryKeyNorm
        if let norm, !norm.isAfterRope { normQueriesAndKeys(layer, norm, step) }
        if let rope = configuration.layers[layer].rope { rotate(step.angles[rope]) }
        if let norm, norm.isAfterRope { normQueriesAndKeys(layer, norm, step) }
        guard let growth = configuration.queryGrowth else { return }
        let queries = configuration.attentionHeads * configuration.headSize
        compute.parallel(step.tokens) { row in
            compute.scale(
                memory.projections.row(row), by: growth.factor(at: step.positions[row]), count: queries)
        }
    }

    private func rotate(_ angles: [UnsafePointer<Float>]) {
        let size = configuration.headSize
        let pairs = configuration.ropes[0].dimensions(headSize: size) / 2
        compute.parallel(angles.count) { row in
            // Keys follow queries, head by head.
            compute.rotate(
                memory.projections.row(row), angles: angles[row], pairs: pairs,
                isInterleaved: configuration.ropeIsInterleaved,
                heads: configuration.attentionHeads + configuration.keyValueHeads, headSize: size)
        }
    }

    private func normQueriesAndKeys(_ layer: Int, _ norm: QueryKeyNormConfiguration, _ step: LayerStep) {
        let size = configuration.headSize
        let sides = [
            (NormPlace.query, 0, configuration.attentionHeads),
            (NormPlace.key, configuration.attentionHeads * size, configuration.keyValueHeads),
        ]
        for part in step.parts {
            let norms = sides.map { part.weights.layers[layer][$0.0] }
            compute.parallel(part.rows.count) { index in
                let row = memory.projections.row(part.rows.lowerBound + index)
                for ((_, start, heads), weights) in zip(sides, norms) {
                    if norm.isWhole {
                        apply(weights, to: row + start, count: heads * size, into: row + start)
                        continue
                    }
                    for head in 0..<heads {
                        let place = row + start + head * size
                        apply(
                            weights, from: norm.isDistinct ? head * size : 0, to: place, count: size,
                            into: place)
                    }
                }
            }
        }
    }
}
