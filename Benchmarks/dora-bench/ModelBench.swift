import DoraLoader
import DoraRuntime
import DoraTensor

/// Drives the forward pass of one base, and of what is merged into it, step by step.
struct ModelBench {
    struct Model {
        let name: String
        /// Of the sequences in turn.
        let weights: [ModelWeights]

        /// What a step of that many sequences reads of them, each matrix and each part once.
        func bytes(batch: Int) -> Int {
            let used = weights.prefix(batch)
            let matrices = Dictionary(
                used.flatMap(\.matrices).map { (ObjectIdentifier($0), $0.byteCount) },
                uniquingKeysWith: { $1 })
            return matrices.values.reduce(0, +) + used.reduce(0) { $0 + $1.partBytes }
        }
    }

    let base: LoadedBase
    let pass: ForwardPass
    let longest: Int

    init(_ base: LoadedBase, longest: Int, widest: Int) throws {
        self.base = base
        self.longest = longest
        pass = try ForwardPass(
            base.model.configuration, keyValues: base.settings.keyValueFormat,
            secondTerms: base.settings.activations.secondTerms,
            chunk: max(ForwardPass.defaultChunk, widest), on: base.compute)
    }

    /// The most memory that this process held so far, after one step at the longest context, and what it holds at least.
    func memory() throws -> Report.Memory {
        let tokens = min(pass.chunk, longest)
        var states = [
            try FilledState(positions: longest - tokens, geometry: pass.geometry, on: base.compute).state
        ]
        try step([base.model.weights], &states, tokens: tokens)
        return Report.Memory(
            peak: try ProcessMemory.peak(), matrices: base.model.weights.matrixBytes,
            keyValues: states.reduce(0) { $0 + $1.byteCount })
    }

    func load(_ folder: String, copies: Int, repeats: Int) throws -> ([ModelWeights], Report.Merge) {
        var weights = base.model.weights
        var report: MergeReport?
        func read() throws -> Adapter {
            try Adapter(folder: folder, fitting: base.model.inventory, baseName: base.settings.model)
        }
        let adapter = try read()
        let reading = try Spread((0..<repeats).map { _ in try measure { _ = try read() } })
        // As in a server whose memory is full: the last one's matrices go first, and the next take their memory.
        base.compute.heap.keepReturned(true)
        defer { base.compute.heap.keepReturned(false) }
        let times = try (0..<repeats).map { _ in
            weights = base.model.weights
            return try measure {
                let adapted = try base.model.adapted(by: adapter, on: base.compute)
                (weights, report) = (adapted.weights, adapted.report)
            }
        }
        let read = zip(base.model.weights.matrices, weights.matrices).reduce(0) {
            $0 + ($1.0 === $1.1 ? 0 : $1.0.byteCount)
        }
        let others = try (1..<copies).map { _ in
            try base.model.adapted(by: adapter, on: base.compute).weights
        }
        return (
            [weights] + others,
            Report.Merge(
                form: report?.choice.form.rawValue ?? "", modules: report?.entries.count ?? 0,
                adapterSeconds: reading.median, seconds: Spread(times),
                readBytes: read,
                bytes: report?.bytes ?? 0, matrixBytes: weights.matrixBytes)
        )
    }

    /// Reads a prompt from an empty cache, the models in turn.
    func prefill(_ tokens: Int, of models: [Model], repeats: Int, limits: MachineLimits) throws -> [Report
        .Prefill]
    {
        var times = models.map { _ in [Double]() }
        var shares = models.map { _ in [Double]() }
        let isInteger = models[0].weights[0].layers.first?[.output]?.matrix.format.isQuantized ?? false
        func rate() -> Double { isInteger ? limits.int8Rate(bestOf: 3) : limits.floatRate(bestOf: 3) }
        for _ in 0..<repeats {
            for (index, model) in models.enumerated() {
                let before = rate()
                var states = [SequenceState(pass.geometry)]
                let time = try measure {
                    var left = tokens
                    while left > 0 {
                        let share = pass.share(of: left)
                        left -= share
                        try step(model.weights, &states, tokens: share, isLast: left == 0)
                    }
                }
                times[index].append(time)
                let linear = Double(model.weights[0].multiplyAdds(tokens: tokens))
                shares[index].append(linear / time / max(before, rate()))
            }
        }
        return models.indices.map { index in
            Report.Prefill(
                weights: models[index].name, tokens: tokens, seconds: Spread(times[index]),
                tokensPerSecond: Double(tokens) / Spread(times[index]).median,
                shareOfPeak: Spread(shares[index]),
                peak: isInteger ? "int8" : "f32", ratio: Spread(zip(times[0], times[index]).map { $0 / $1 }))
        }
    }

    /// Decode steps of `batch` sequences with `context` positions each, the models in turn, each round of steps between
    /// two measurements of the bandwidth.
    func decode(
        batch: Int, context: Int, of models: [Model], rounds: Int, steps: Int, limits: MachineLimits
    ) throws -> [Report.Decode] {
        let filled = try (0..<batch).map { _ in
            try FilledState(positions: context, geometry: pass.geometry, on: base.compute).state
        }
        var times = models.map { _ in [Double]() }
        var shares = models.map { _ in [Double]() }
        var bandwidths: [Double] = []
        var all = models.map { _ in [Double]() }
        let positions = context + 1 + steps / 2
        let read = batch * pass.geometry.bytes(seenFrom: positions - 1)
        let bytes = models.map { $0.bytes(batch: batch) + read }
        var before = limits.bandwidth(bestOf: 2)
        for _ in 0..<rounds {
            for (index, model) in models.enumerated() {
                var states = filled
                try step(model.weights, &states, tokens: 1)
                let some = try (0..<steps).map { _ in
                    try measure { try step(model.weights, &states, tokens: 1) }
                }
                let after = limits.bandwidth(bestOf: 2)
                let time = Spread(some).median
                all[index] += some
                times[index].append(time)
                shares[index].append(Double(bytes[index]) / time / max(before, after))
                bandwidths.append(max(before, after))
                before = after
            }
        }
        return models.indices.map { index in
            let time = Spread(all[index])
            return Report.Decode(
                weights: models[index].name, batch: batch, context: context, stepSeconds: time,
                tokensPerSecond: Double(batch) / time.median, bytesPerStep: bytes[index],
                bandwidth: Spread(bandwidths), share: Spread(shares[index]),
                ratio: Spread(zip(times[0], times[index]).map { $0 / $1 }))
        }
    }

    /// One step of some new tokens a sequence, with the logits of the last as decoding needs them.
    private func step(
        _ weights: [ModelWeights], _ states: inout [SequenceState], tokens: Int, isLast: Bool = true
    ) throws {
        let vocabulary = pass.configuration.vocabularySize
        let parts = try states.indices.map { index in
            let count = states[index].count
            let ids = (0..<tokens).map { (100 + 7919 * index + count + $0) % vocabulary }
            return try StepPart(
                weights: weights[index % weights.count], extending: &states[index], by: ids[...],
                logits: isLast ? .last : .none,
                in: pass.heap)
        }
        try pass.step(parts) { _, _, _ in }
    }
}

extension ModelWeights {
    /// Of a prompt in the linear layers. The head and what the last layer makes of its keys and values are computed for the
    /// last token only.
    func multiplyAdds(tokens: Int) -> Int {
        func sum(_ matrices: [PackedMatrix]) -> Int { matrices.reduce(0) { $0 + $1.rows * $1.columns } }
        guard let last = layers.last else { return 0 }
        let kept = [Projection.queryKeyValue, .key, .value].compactMap { last[$0]?.matrix }
        return tokens * (layers.dropLast().reduce(0) { $0 + sum($1.matrices) } + sum(kept))
            + sum(last.matrices) - sum(kept)
    }
}
