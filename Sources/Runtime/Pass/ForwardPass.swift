package import DoraLoader
package import DoraTensor

/// The Llama forward pass: token ids of one or many sequences in, logits out, keys and values into their caches.
///
/// Owns its scratch memory; one call at a time. A token's logits depend on nothing but its own weights and the tokens
/// before it in its sequence: not on how they were cut into chunks, not on the sequences computed beside it, nor on the
/// number of threads.
package final class ForwardPass {
    package let configuration: ModelConfiguration
    package let geometry: KeyValueGeometry
    /// Most tokens of one step.
    package let chunk: Int
    private let compute: Compute
    private var product: BatchProduct
    private var rotary: RotaryTable
    private let residual: Rows
    private let normed: Activations
    private let queries: Rows
    private let keys: Rows
    private let values: Rows
    private let attended: Activations
    private let gated: Activations
    private let up: Rows
    private let projected: Rows
    private let headInput: Activations
    private var logits: Rows

    /// Rows of logits computed at a time; each is a whole vocabulary.
    private static let logitRows = 16
    /// A multiple of the tokens that the kernels take at a time.
    package static let defaultChunk = 252

    package init(
        _ configuration: ModelConfiguration, halfCache: Bool, secondTerms: SecondTerms = .peaks,
        chunk: Int = ForwardPass.defaultChunk, on compute: Compute
    ) throws(ComputeError) {
        let attention = configuration.attentionHeads * configuration.headSize
        let keyValue = configuration.keyValueHeads * configuration.headSize
        self.configuration = configuration
        self.compute = compute
        self.chunk = chunk
        geometry = KeyValueGeometry(
            layers: configuration.layerCount, keyValueHeads: configuration.keyValueHeads,
            headSize: configuration.headSize, isHalf: halfCache)
        product = BatchProduct(capacity: chunk, secondTerms: secondTerms, on: compute)
        rotary = RotaryTable(configuration)
        residual = try Rows(chunk, configuration.hiddenSize)
        func rows(_ count: Int, _ columns: Int) throws(ComputeError) -> Activations {
            try Activations(capacity: count, columns: columns, secondTerms: secondTerms)
        }
        normed = try rows(chunk, configuration.hiddenSize)
        queries = try Rows(chunk, attention)
        keys = try Rows(chunk, keyValue)
        values = try Rows(chunk, keyValue)
        attended = try rows(chunk, attention)
        gated = try rows(chunk, configuration.intermediateSize)
        up = try Rows(chunk, configuration.intermediateSize)
        projected = try Rows(chunk, configuration.hiddenSize)
        headInput = try rows(Self.logitRows, configuration.hiddenSize)
        logits = try Rows(Self.logitRows, configuration.vocabularySize)  // grows for an adapter's larger head
    }

    /// Runs the parts of all sequences together and hands the logits of each wanted token, one a row of its head, to `body`,
    /// with the part's index and the token's in it.
    /// - Precondition: at most `chunk` tokens in all, at least one a part, ids below `vocabularySize`, each cache once.
    package func step(
        _ parts: [StepPart],
        _ body: (_ part: Int, _ token: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        var rows: [StepRows] = []
        var tokens = 0
        for part in parts {
            try reserve(part)
            rotary.extend(to: part.cache.count + part.tokens.count)
            rows.append(StepRows(weights: part.weights, rows: tokens..<tokens + part.tokens.count))
            for (offset, token) in part.tokens.enumerated() {
                part.weights.embedding.read(token, into: residual.row(tokens + offset), on: compute)
            }
            tokens += part.tokens.count
        }
        let attention = Attention(
            zip(parts, rows).map { Attention.Part(cache: $0.cache, rows: $1.rows) }, geometry: geometry,
            heads: configuration.attentionHeads)
        let positions = zip(parts, rows).flatMap { part, rows in
            rows.rows.indices.map { part.cache.count + $0 - rows.rows.lowerBound }
        }
        for layer in 0..<configuration.layerCount {
            try attend(layer, rows, attention, positions: positions)
            try feedForward(layer, rows, tokens: tokens)
        }
        for part in parts { part.cache.advance(part.tokens.count) }
        try readLogits(parts, rows, body)
    }

    /// Makes room for the part's keys and values.
    package func reserve(_ part: StepPart) throws(ComputeError) {
        try part.cache.reserve(part.tokens.count, in: compute.heap)
    }

    /// A sequence that goes on from another's keys and values.
    package func branch(_ cache: KeyValueCache) throws(ComputeError) -> KeyValueCache {
        try cache.branch(in: compute.heap)
    }

    /// The same from an earlier position on, sharing only the first blocks.
    package func branch(
        _ cache: KeyValueCache, at position: Int, sharing blocks: Int
    ) throws(ComputeError) -> KeyValueCache {
        try cache.branch(at: position, sharing: blocks, in: compute.heap)
    }

    private func attend(_ layer: Int, _ parts: [StepRows], _ attention: Attention, positions: [Int]) throws {
        norm(parts, into: normed) { $0.layers[layer].inputNorm }
        try product.multiply(
            normed, parts: parts,
            into: [
                BatchProduct.Target(queries) { $0.layers[layer][.query] },
                BatchProduct.Target(keys) { $0.layers[layer][.key] },
                BatchProduct.Target(values) { $0.layers[layer][.value] },
            ])
        rotate(positions)
        attention.store(layer: layer, keys: keys.floats, values: values.floats, on: compute)
        attention.attend(layer: layer, queries: queries.floats, out: attended.floats, on: compute)
        attended.refill(tokens: positions.count)
        try product.multiply(
            attended, parts: parts,
            into: [BatchProduct.Target(projected) { $0.layers[layer][.output] }])
        addProjected(tokens: positions.count)
    }

    private func rotate(_ positions: [Int]) {
        rotary.cosines.withUnsafeBufferPointer { cosines in
            rotary.sines.withUnsafeBufferPointer { sines in
                guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
                compute.parallel(positions.count) { row in
                    let angles = positions[row] * rotary.pairs
                    compute.rotate(
                        queries.row(row), cosines: cosines + angles, sines: sines + angles,
                        heads: configuration.attentionHeads, headSize: configuration.headSize)
                    compute.rotate(
                        keys.row(row), cosines: cosines + angles, sines: sines + angles,
                        heads: configuration.keyValueHeads, headSize: configuration.headSize)
                }
            }
        }
    }

    private func feedForward(_ layer: Int, _ parts: [StepRows], tokens: Int) throws {
        norm(parts, into: normed) { $0.layers[layer].postAttentionNorm }
        try product.multiply(
            normed, parts: parts,
            into: [
                BatchProduct.Target(out: gated.floats, stride: gated.columns) { $0.layers[layer][.gate] },
                BatchProduct.Target(up) { $0.layers[layer][.up] },
            ])
        compute.parallel(tokens) { row in
            compute.swiglu(gate: gated.row(row), up: up.row(row), count: gated.columns)
        }
        gated.refill(tokens: tokens)
        try product.multiply(
            gated, parts: parts,
            into: [BatchProduct.Target(projected) { $0.layers[layer][.down] }])
        addProjected(tokens: tokens)
    }

    /// Each part by its own weight `[hiddenSize]`.
    private func norm(_ parts: [StepRows], into out: Activations, by weight: (ModelWeights) -> [Float]) {
        let epsilon = Float(configuration.rmsNormEps)
        for part in parts {
            let weight = weight(part.weights)
            compute.parallel(part.rows.count) { index in
                let row = part.rows.lowerBound + index
                compute.rmsNorm(
                    residual.row(row), weight: weight, count: weight.count, epsilon: epsilon,
                    into: out.row(row))
            }
        }
        out.refill(tokens: parts.last?.rows.upperBound ?? 0)
    }

    private func addProjected(tokens: Int) {
        compute.parallel(tokens) { row in
            compute.add(projected.row(row), to: residual.row(row), count: residual.columns)
        }
    }

    /// The head, a few rows at a time, whichever sequences they belong to.
    private func readLogits(
        _ parts: [StepPart], _ rows: [StepRows],
        _ body: (_ part: Int, _ token: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        let wanted = parts.indices.flatMap { part in
            parts[part].wantedTokens.map { (part: part, token: $0, row: rows[part].rows.lowerBound + $0) }
        }
        for start in stride(from: 0, to: wanted.count, by: Self.logitRows) {
            let some = wanted[start..<min(start + Self.logitRows, wanted.count)]
            var heads: [StepRows] = []
            for (index, place) in some.enumerated() {
                let weights = rows[place.part].weights
                compute.rmsNorm(
                    residual.row(place.row), weight: weights.finalNorm, count: weights.finalNorm.count,
                    epsilon: Float(configuration.rmsNormEps), into: headInput.row(index))
                heads.append(StepRows(weights: weights, rows: index..<index + 1))
            }
            headInput.refill(tokens: some.count)
            let widest = heads.map(\.weights.vocabularySize).max() ?? 0
            if logits.columns < widest { logits = try Rows(Self.logitRows, widest) }
            try product.multiply(
                headInput, parts: heads, into: [BatchProduct.Target(logits) { $0.head }])
            for (index, place) in some.enumerated() {
                try body(
                    place.part, place.token,
                    UnsafeBufferPointer(
                        start: logits.row(index), count: heads[index].weights.vocabularySize))
            }
        }
    }
}
