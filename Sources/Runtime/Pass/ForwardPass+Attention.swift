import DoraLoader
import DoraTensor

/// The first half of a layer.
extension ForwardPass {
    /// Which of a token's projections.
    private struct Sides: OptionSet {
        let rawValue: Int
        static let queries = Sides(rawValue: 1)
        static let keysAndValues = Sides(rawValue: 2)
        static let both: Sides = [.queries, .keysAndValues]
    }

    private var queryFloats: Int { configuration.attentionHeads * configuration.headSize }
    private var keyFloats: Int { configuration.keyValueHeads * configuration.headSize }

    /// Adds what a layer's attention makes of the residual. In a parallel layer `memory.normed` still holds what it read.
    func attend(_ layer: Int, _ step: LayerStep) throws {
        readResidual(layer, .beforeAttention, step)
        try project(.both, layer, step)
        store(layer, step)
        try attendKeys(layer, step)
    }

    /// The same, but only some rows go on from the keys and values, and lie one behind the other then.
    func attend(_ layer: Int, _ step: LayerStep, goingOnWith wanted: WantedRows, as rest: LayerStep) throws {
        guard rest.tokens < step.tokens else { return try attend(layer, step) }
        let isFused = configuration.has(.queryKeyValue)
        readResidual(layer, .beforeAttention, step)
        try project(isFused ? .both : .keysAndValues, layer, step)
        store(layer, step)
        guard rest.tokens > 0 else { return }
        move(wanted)
        if !isFused { try project(.queries, layer, rest) }
        try attendKeys(layer, rest)
    }

    /// Moves rows to the front; none lies before its new place.
    private func move(_ wanted: WantedRows) {
        let (residual, rows, normed) = (memory.residual, memory.projections, memory.normed)
        for (index, place) in wanted.places.enumerated() where index != place.row {
            residual.row(index).update(from: residual.row(place.row), count: residual.columns)
            rows.row(index).update(from: rows.row(place.row), count: queryFloats)
            normed.row(index).update(from: normed.row(place.row), count: normed.columns)
        }
        normed.refill(tokens: wanted.count)
    }

    /// Queries, keys and values of each token, normed and rotated.
    private func project(_ sides: Sides, _ layer: Int, _ step: LayerStep) throws {
        let rows = memory.projections
        let (keys, values) = (rows.floats + queryFloats, rows.floats + queryFloats + keyFloats)
        let queries: [(Projection, UnsafeMutablePointer<Float>)] = [
            (.queryKeyValue, rows.floats), (.query, rows.floats),
        ]
        let targets =
            (sides.contains(.queries) ? queries : [])
            + (sides.contains(.keysAndValues) ? [(.key, keys), (.value, values)] : [])
        try product.multiply(
            memory.normed, parts: step.parts,
            into: targets.compactMap { target(layer, $0, at: $1, stride: rows.stride) })
        if let limit = configuration.scales.clip {
            let start = sides.contains(.queries) ? 0 : queryFloats
            let end = sides.contains(.keysAndValues) ? rows.columns : queryFloats
            compute.parallel(step.tokens) {
                compute.clip(rows.row($0) + start, to: limit, count: end - start)
            }
        }
        finish(sides, layer, step)
    }

    private func store(_ layer: Int, _ step: LayerStep) {
        let rows = memory.projections
        step.attention.store(
            layer: layer, keys: rows.floats + queryFloats, values: rows.floats + queryFloats + keyFloats,
            stride: rows.stride, on: compute)
    }

    /// What the queries find.
    private func attendKeys(_ layer: Int, _ step: LayerStep) throws {
        let rows = memory.projections
        step.attention.attend(
            layer: layer, configuration.layers[layer].attention, queries: rows.floats, stride: rows.stride,
            out: memory.attended.floats, on: compute)
        memory.attended.refill(tokens: step.tokens)
        try project(memory.attended, by: .output, layer, step, norm: .afterAttention)
    }

    /// Norms and rotates each token's queries and keys, and lets queries grow.
    private func finish(_ sides: Sides, _ layer: Int, _ step: LayerStep) {
        let norm = configuration.queryKeyNorm
        if let norm, !norm.isAfterRope { self.norm(sides, layer, norm, step) }
        if let rope = configuration.layers[layer].rope { rotate(sides, step.angles[rope]) }
        if let norm, norm.isAfterRope { self.norm(sides, layer, norm, step) }
        guard let growth = configuration.queryGrowth, sides.contains(.queries) else { return }
        compute.parallel(step.tokens) { row in
            compute.scale(
                memory.projections.row(row), by: growth.factor(at: step.positions[row]), count: queryFloats)
        }
    }

    private func rotate(_ sides: Sides, _ angles: [UnsafePointer<Float>]) {
        let size = configuration.headSize
        let pairs = configuration.ropes[0].dimensions(headSize: size) / 2
        // Keys follow queries, head by head.
        let first = sides.contains(.queries) ? 0 : configuration.attentionHeads
        let keys = sides.contains(.keysAndValues) ? configuration.keyValueHeads : 0
        let end = configuration.attentionHeads + keys
        compute.parallel(angles.count) { row in
            compute.rotate(
                memory.projections.row(row) + first * size, angles: angles[row], pairs: pairs,
                isInterleaved: configuration.ropeIsInterleaved, heads: end - first, headSize: size)
        }
    }

    private func norm(
        _ sides: Sides, _ layer: Int, _ norm: QueryKeyNormConfiguration, _ step: LayerStep
    ) {
        let size = configuration.headSize
        let places =
            (sides.contains(.queries) ? [(NormPlace.query, 0, configuration.attentionHeads)] : [])
            + (sides.contains(.keysAndValues) ? [(.key, queryFloats, configuration.keyValueHeads)] : [])
        for part in step.parts {
            let norms = places.map { part.weights.layers[layer][$0.0] }
            compute.parallel(part.rows.count) { index in
                let row = memory.projections.row(part.rows.lowerBound + index)
                for ((_, start, heads), weights) in zip(places, norms) {
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
