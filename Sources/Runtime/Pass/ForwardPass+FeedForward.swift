import DoraLoader
import DoraTensor

/// The second half of a layer, and what both halves are made of.
extension ForwardPass {
    /// Adds what a layer's feed-forward network makes of the residual, or of attention's input in a parallel layer.
    func feedForward(_ layer: Int, _ step: LayerStep) throws {
        guard step.tokens > 0 else { return }
        let (gated, up) = (memory.gated, memory.up)
        if !configuration.isParallel { readResidual(layer, .beforeFeedForward, step) }
        let isPlain = !configuration.has(.gate) && !configuration.has(.gateUp)
        try product.multiply(
            memory.normed, parts: step.parts,
            into: [
                target(layer, .gateUp, at: up.floats, stride: up.stride),
                target(layer, .gate, at: gated.floats, stride: gated.columns),
                isPlain
                    ? target(layer, .up, at: gated.floats, stride: gated.columns)
                    : target(layer, .up, at: up.floats, stride: up.stride),
            ].compactMap { $0 })
        let isFused = configuration.has(.gateUp)
        let activation = configuration.activation
        compute.parallel(step.tokens) { row in
            let gate = isFused ? up.row(row) : gated.row(row)
            let other = isPlain ? nil : UnsafePointer(isFused ? gate + gated.columns : up.row(row))
            compute.activate(
                activation, gate: gate, up: other, count: gated.columns, into: gated.row(row))
        }
        gated.refill(tokens: step.tokens)
        try project(gated, by: .down, layer, step, norm: .afterFeedForward)
    }

    /// Where a linear map's results go; nil where the layer has no such map.
    func target(
        _ layer: Int, _ projection: Projection, at out: UnsafeMutablePointer<Float>, stride: Int
    ) -> BatchProduct.Target? {
        guard configuration.has(projection) else { return nil }
        return BatchProduct.Target(out: out, stride: stride) { $0.layers[layer][projection] }
    }

    /// Multiplies by the last matrix of a half, norms the result if a norm stands there, and adds it to the residual.
    func project(
        _ input: Activations, by projection: Projection, _ layer: Int, _ step: LayerStep,
        norm place: NormPlace
    ) throws {
        let projected = memory.projected
        try product.multiply(
            input, parts: step.parts,
            into: [target(layer, projection, at: projected.floats, stride: projected.stride)].compactMap {
                $0
            })
        if configuration.hasNorm(place) {
            norm(layer, place, step, from: projected.row, into: projected.row)
        }
        if let factor = configuration.scales.residual { scale(projected, by: factor, rows: step.tokens) }
        let residual = memory.residual
        compute.parallel(step.tokens) { row in
            compute.add(projected.row(row), to: residual.row(row), count: residual.columns)
        }
    }

    /// The residual into `memory.normed`, normed if a norm stands there.
    func readResidual(_ layer: Int, _ place: NormPlace, _ step: LayerStep) {
        let (residual, normed) = (memory.residual, memory.normed)
        if configuration.hasNorm(place) {
            norm(layer, place, step, from: residual.row, into: normed.row)
        } else {
            compute.parallel(step.tokens) { row in
                normed.row(row).update(from: residual.row(row), count: residual.columns)
            }
        }
        normed.refill(tokens: step.tokens)
    }

    /// Rows of `hiddenSize`, each part's by its own weights.
    private func norm(
        _ layer: Int, _ place: NormPlace, _ step: LayerStep,
        from input: (Int) -> UnsafeMutablePointer<Float>, into out: (Int) -> UnsafeMutablePointer<Float>
    ) {
        for part in step.parts {
            let weights = part.weights.layers[layer][place]
            compute.parallel(part.rows.count) { index in
                let row = part.rows.lowerBound + index
                apply(weights, to: input(row), count: configuration.hiddenSize, into: out(row))
            }
        }
    }

    /// Norms `count` numbers by as many of the weights, from the `first` on.
    func apply(
        _ norm: Norm, from first: Int = 0, to input: UnsafePointer<Float>, count: Int,
        into out: UnsafeMutablePointer<Float>
    ) {
        norm.weight.withUnsafeBufferPointer { weight in
            guard let weight = weight.baseAddress, first + count <= norm.weight.count else { return }
            let epsilon = configuration.norm.epsilon
            switch (configuration.norm.kind, norm.bias) {
            case (.rms, _):
                compute.rmsNorm(input, weight: weight + first, count: count, epsilon: epsilon, into: out)
            case (.layer, nil):
                compute.layerNorm(
                    input, weight: weight + first, bias: nil, count: count, epsilon: epsilon, into: out)
            case (.layer, .some(let bias)):
                bias.withUnsafeBufferPointer {
                    compute.layerNorm(
                        input, weight: weight + first, bias: $0.baseAddress.map { $0 + first }, count: count,
                        epsilon: epsilon, into: out)
                }
            }
        }
    }
}
