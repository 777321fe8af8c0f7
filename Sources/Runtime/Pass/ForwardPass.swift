package import DoraLoader
package import DoraTensor

/// The forward pass: token ids of one or many sequences in, logits out, what is kept of them into their states.
///
/// It knows switches, not families: what a model has of them stands in its `ModelConfiguration`, layer by layer. Owns its
/// scratch memory; one call at a time. A token's logits depend on nothing but its own weights and the tokens before it
/// in its sequence: not on how they were cut into chunks, not on the sequences computed beside it, nor on the number of
/// threads.
package final class ForwardPass {
    package let configuration: ModelConfiguration
    package let geometry: StateGeometry
    /// Most tokens of one step.
    package let chunk: Int
    let compute: Compute
    let memory: PassMemory
    var product: BatchProduct
    var logits: Rows
    private let rotaries: [RotaryTable]

    /// Rows of logits computed at a time; each is a whole vocabulary.
    static let logitRows = 16
    /// Tokens that the kernels take at a time divide it.
    package static let defaultChunk = 264
    private static let tokensAtATime = 12

    package init(
        _ configuration: ModelConfiguration, keyValues: KeyValueFormat, secondTerms: SecondTerms = .peaks,
        chunk: Int = ForwardPass.defaultChunk, on compute: Compute
    ) throws(ComputeError) {
        self.configuration = configuration
        self.compute = compute
        self.chunk = chunk
        geometry = StateGeometry(configuration, format: keyValues)
        product = BatchProduct(capacity: chunk, secondTerms: secondTerms, on: compute)
        rotaries = configuration.ropes.map { RotaryTable($0, headSize: configuration.headSize) }
        memory = try PassMemory(
            configuration, tokens: chunk, logits: Self.logitRows, secondTerms: secondTerms)
        logits = try Rows(Self.logitRows, configuration.vocabularySize)  // grows for an adapter's larger head
    }

    /// Runs the parts of all sequences together and hands the logits of each wanted token, one a row of its head, to `body`,
    /// with the part's index and the token's in it.
    /// - Precondition: at most `chunk` tokens in all, at least one a part, ids below `vocabularySize`, each sequence once.
    package func step(
        _ parts: [StepPart],
        _ body: (_ part: Int, _ token: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        var tokens: [RotaryTable.Token] = []
        for part in parts {
            for (offset, token) in part.tokens.enumerated() {
                part.weights.embedding.read(token, into: memory.residual.row(tokens.count), on: compute)
                tokens.append(RotaryTable.Token(position: part.position + offset, length: part.length))
            }
        }
        if let factor = configuration.scales.embedding {
            scale(memory.residual, by: factor, rows: tokens.count)
        }
        let step = layerStep(
            parts, tokens: parts.map { 0..<$0.tokens.count }, angles: rotaries.map { $0.angles(of: tokens) })
        let wanted = WantedRows(of: parts)
        let last = configuration.layers.count - 1
        for layer in 0..<last {
            try attend(layer, step)
            try feedForward(layer, step)
        }
        let rest = wanted.count == step.tokens ? step : only(wanted, of: parts, step)
        try attend(last, step, goingOnWith: wanted, as: rest)
        try feedForward(last, rest)
        try readLogits(parts, wanted, body)
    }

    private func layerStep(
        _ parts: [StepPart], tokens ranges: [Range<Int>], angles: [[UnsafePointer<Float>]]
    ) -> LayerStep {
        LayerStep(
            parts, tokens: ranges, angles: angles, geometry: geometry, heads: configuration.attentionHeads)
    }

    private func only(_ wanted: WantedRows, of parts: [StepPart], _ step: LayerStep) -> LayerStep {
        layerStep(
            parts, tokens: parts.map(\.wantedTokens),
            angles: step.angles.map { angles in wanted.places.map { angles[$0.row] } })
    }

    /// How many of the next tokens of a prompt to compute, where nothing else is: its steps are alike, as each reads all
    /// weights, however few tokens it has.
    package func share(of tokens: Int) -> Int {
        let steps = max(1, tokens.roundedUp(to: chunk) / chunk)
        return min(tokens, chunk, ((tokens + steps - 1) / steps).roundedUp(to: Self.tokensAtATime))
    }

    /// Where states grow.
    package var heap: Heap { compute.heap }

    func scale(_ rows: Rows, by factor: Float, rows count: Int) {
        compute.parallel(count) { row in
            compute.scale(rows.row(row), by: factor, count: rows.columns)
        }
    }
}

extension StateGeometry {
    /// What a model keeps of a sequence. A window as long as its longest sequence is none.
    package init(_ configuration: ModelConfiguration, format: KeyValueFormat) {
        let layers = configuration.layers.map { layer in
            KeyValueShape(
                keyValueHeads: configuration.keyValueHeads, headSize: configuration.headSize,
                window: layer.attention.window.flatMap { $0 < configuration.maximumPositions ? $0 : nil })
        }
        self.init(layers: layers, format: format)
    }
}
