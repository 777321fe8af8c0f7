package import DoraLoader
package import DoraTensor

/// The Llama forward pass: token ids in, logits out, keys and values into a cache.
///
/// Owns its scratch memory; one call at a time. A token's logits depend on nothing but the tokens before it: not on how
/// they were cut into chunks, nor on the number of threads.
package final class ForwardPass {
    package let configuration: ModelConfiguration
    private let compute: Compute
    /// Tokens that one pass takes.
    private let chunk: Int
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
    private let logits: Rows

    /// Rows of logits computed at a time when all are wanted; each is a whole vocabulary.
    private static let logitRows = 8
    package static let defaultChunk = 256

    package init(
        _ configuration: ModelConfiguration, chunk: Int = ForwardPass.defaultChunk, on compute: Compute
    ) throws(ComputeError) {
        let attention = configuration.attentionHeads * configuration.headSize
        let keyValue = configuration.keyValueHeads * configuration.headSize
        self.configuration = configuration
        self.compute = compute
        self.chunk = chunk
        rotary = RotaryTable(configuration)
        residual = try Rows(chunk, configuration.hiddenSize)
        normed = try Activations(capacity: chunk, columns: configuration.hiddenSize)
        queries = try Rows(chunk, attention)
        keys = try Rows(chunk, keyValue)
        values = try Rows(chunk, keyValue)
        attended = try Activations(capacity: chunk, columns: attention)
        gated = try Activations(capacity: chunk, columns: configuration.intermediateSize)
        up = try Rows(chunk, configuration.intermediateSize)
        projected = try Rows(chunk, configuration.hiddenSize)
        headInput = try Activations(capacity: Self.logitRows, columns: configuration.hiddenSize)
        logits = try Rows(Self.logitRows, configuration.vocabularySize)
    }

    /// Runs `tokens` at the positions behind the cache's, chunk by chunk, and hands the logits `[vocabularySize]` of
    /// the last token, or of each, to `body` with the token's index.
    /// - Precondition: token ids are below `vocabularySize`.
    package func run(
        _ tokens: [Int], weights: ModelWeights, cache: KeyValueCache, everyLogit: Bool = false,
        _ body: (_ index: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        for start in stride(from: 0, to: tokens.count, by: chunk) {
            let range = start..<min(start + chunk, tokens.count)
            try advance(tokens[range], weights: weights, cache: cache)
            let wanted = everyLogit ? range : range.clamped(to: tokens.count - 1..<tokens.count)
            try readLogits(of: wanted, chunkStart: start, weights: weights, body)
        }
    }

    /// Takes one chunk through all layers; its hidden states are left in `residual`.
    private func advance(_ tokens: ArraySlice<Int>, weights: ModelWeights, cache: KeyValueCache) throws {
        try cache.reserve(tokens.count)
        rotary.extend(to: cache.count + tokens.count)
        for (row, token) in tokens.enumerated() {
            weights.embedding.read(token, into: residual.row(row), on: compute)
        }
        for (index, layer) in weights.layers.enumerated() {
            attention(layer, index, tokens: tokens.count, cache: cache)
            feedForward(layer, tokens: tokens.count)
        }
        cache.advance(tokens.count)
    }

    private func attention(_ layer: LayerWeights, _ index: Int, tokens: Int, cache: KeyValueCache) {
        let size = configuration.headSize
        norm(layer.inputNorm, tokens: tokens)
        multiply(normed, by: layer[.query], into: queries)
        multiply(normed, by: layer[.key], into: keys)
        multiply(normed, by: layer[.value], into: values)
        let first = cache.count
        rotary.cosines.withUnsafeBufferPointer { cosines in
            rotary.sines.withUnsafeBufferPointer { sines in
                guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
                compute.parallel(tokens) { row in
                    let angles = (first + row) * rotary.pairs
                    compute.rotate(
                        queries.row(row), cosines: cosines + angles, sines: sines + angles,
                        heads: configuration.attentionHeads, headSize: size)
                    compute.rotate(
                        keys.row(row), cosines: cosines + angles, sines: sines + angles,
                        heads: configuration.keyValueHeads, headSize: size)
                }
            }
        }
        cache.store(layer: index, tokens: tokens, keys: keys.floats, values: values.floats, on: compute)
        cache.attend(
            layer: index, tokens: tokens, heads: configuration.attentionHeads, queries: queries.floats,
            out: attended.floats, on: compute)
        attended.refill(tokens: tokens)
        multiply(attended, by: layer[.output], into: projected)
        addProjected(tokens: tokens)
    }

    private func feedForward(_ layer: LayerWeights, tokens: Int) {
        norm(layer.postAttentionNorm, tokens: tokens)
        multiply(normed, by: layer[.gate], into: gated.floats, stride: gated.columns)
        multiply(normed, by: layer[.up], into: up)
        compute.parallel(tokens) { row in
            compute.swiglu(gate: gated.row(row), up: up.row(row), count: gated.columns)
        }
        gated.refill(tokens: tokens)
        multiply(gated, by: layer[.down], into: projected)
        addProjected(tokens: tokens)
    }

    private func norm(_ weight: [Float], tokens: Int) {
        compute.parallel(tokens) { row in
            compute.rmsNorm(
                residual.row(row), weight: weight, count: weight.count,
                epsilon: Float(configuration.rmsNormEps),
                into: normed.row(row))
        }
        normed.refill(tokens: tokens)
    }

    private func addProjected(tokens: Int) {
        compute.parallel(tokens) { row in
            compute.add(projected.row(row), to: residual.row(row), count: residual.columns)
        }
    }

    private func multiply(_ input: Activations, by linear: Linear, into out: Rows) {
        multiply(input, by: linear, into: out.floats, stride: out.columns)
    }

    private func multiply(
        _ input: Activations, by linear: Linear, into out: UnsafeMutablePointer<Float>, stride: Int
    ) {
        input.multiply(linear.matrix, into: out, stride: stride, on: compute)
        guard let bias = linear.bias else { return }
        for row in 0..<input.tokens { compute.add(bias, to: out + row * stride, count: bias.count) }
    }

    private func readLogits(
        of tokens: Range<Int>, chunkStart: Int, weights: ModelWeights,
        _ body: (_ index: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        for start in stride(from: tokens.lowerBound, to: tokens.upperBound, by: Self.logitRows) {
            let rows = start..<min(start + Self.logitRows, tokens.upperBound)
            for (row, token) in rows.enumerated() {
                compute.rmsNorm(
                    residual.row(token - chunkStart), weight: weights.finalNorm,
                    count: weights.finalNorm.count,
                    epsilon: Float(configuration.rmsNormEps), into: headInput.row(row))
            }
            headInput.refill(tokens: rows.count)
            multiply(headInput, by: weights.head, into: logits)
            for (row, token) in rows.enumerated() {
                try body(token, UnsafeBufferPointer(start: logits.row(row), count: logits.columns))
            }
        }
    }
}

/// Scratch rows of floats.
private struct Rows {
    let columns: Int
    private let memory: AlignedMemory

    init(_ rows: Int, _ columns: Int) throws(ComputeError) {
        self.columns = columns
        memory = try AlignedMemory(byteCount: rows * columns * 4)
    }

    var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }
    func row(_ index: Int) -> UnsafeMutablePointer<Float> { floats + index * columns }
}
