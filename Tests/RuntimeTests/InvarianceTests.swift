import DoraLoader
import DoraRuntime
import DoraTensor
import Testing

/// Same request, same bytes: a result depends on neither the chunks of the prompt, nor the threads, nor the CPU.
@Suite struct InvarianceTests {
    private static let cases = [
        "gqa-f32--dora-qkv", "bf16--dora-layers", "f16--dora-qkv-f16", "int8--dora-qkv-int8",
        "nf4-double--dora-qkv-nf4-double", "fp4--dora-qkv-fp4", "nf4-ragged--dora-qkv-nf4-ragged",
        "biases--dora-bias-all", "head-dim--dora-qkv-head-dim",
    ]
    private static let storages = [
        StorageOptions(), StorageOptions(weights: .f32, merged: .f32),
        StorageOptions(weights: .q8, merged: .q8),
        StorageOptions(merged: .q4, head: .q4), StorageOptions(form: .factored),
        StorageOptions(weights: .f32, form: .factored),
    ]

    @Test(arguments: cases, storages) func chunksThreadsAndKernelsLeaveTheBitsAlone(
        name: String, storage: StorageOptions
    ) throws {
        let golden = try GoldenCase.load(name)
        let keyValues = storage.weights == .f32 ? KeyValueFormat.f32 : .f16
        let reference = try TestModel(golden, storage: storage, keyValues: keyValues)
        let prompt = try #require(golden.prompts.last)
        let expected = try reference.generate(prompt)
        for (chunk, threads, kernels) in [
            (1, 1, nil), (7, 2, nil), (256, 3, nil), (13, 2, "portable"),
            (64, 1, Compute.availableKernels.last),
        ] as [(Int, Int, String?)] {
            let model = try TestModel(
                golden, storage: storage, keyValues: keyValues, chunk: chunk, threads: threads,
                kernels: kernels)
            let found = try model.generate(prompt)
            #expect(found.tokenIDs == expected.tokenIDs)
            #expect(
                found.logprobs == expected.logprobs,
                "chunk \(chunk), \(threads) threads, \(kernels ?? "best")")
        }
    }

    /// However keys and values are kept: over several blocks, and in layers with windows and capped scores.
    @Test(arguments: KeyValueFormat.allCases, ["gqa-f32", "head-dim", "gemma2", "gemma3_text"])
    func chunksThreadsAndKernelsLeaveEveryFormatAlone(keyValues: KeyValueFormat, name: String) throws {
        let windowed = name.hasPrefix("gemma") ? try WindowedModel(name) : nil
        let prompt = (0..<(windowed == nil ? 110 : 230)).map { 3 + ($0 * $0 + 5 * $0) % 41 }
        func run(chunk: Int, threads: Int, kernels: String?) throws -> Completion {
            let compute = try Compute(threads: threads, kernels: kernels)
            let base = try BaseModel(
                folder: windowed?.folder ?? Fixtures.path("bases/\(name)"), on: compute)
            return try Generator(
                base.configuration, weights: base.weights, eosIDs: [], tokenizer: nil, keyValues: keyValues,
                chunk: chunk, on: compute
            ).generate(
                GenerationRequest(prompt: prompt, maximumTokens: 12, ignoresEOS: true, logprobs: 5))
        }
        let expected = try run(chunk: 256, threads: 1, kernels: nil)
        for (chunk, threads, kernels) in [(1, 2, nil), (7, 3, nil), (64, 1, "portable"), (100, 2, nil)]
            as [(
                Int, Int, String?
            )]
        {
            let found = try run(chunk: chunk, threads: threads, kernels: kernels)
            #expect(found.logprobs == expected.logprobs, "chunk \(chunk), \(kernels ?? "best")")
        }
    }

    /// A generator has no memory: an earlier request leaves no trace in a later one.
    @Test func anEarlierRequestLeavesNoTrace() throws {
        let golden = try GoldenCase.load("int8--dora-qkv-int8")
        let model = try TestModel(golden, storage: StorageOptions(), keyValues: .f16)
        let alone = try golden.prompts.map(model.generate)
        let again = try golden.prompts.reversed().map(model.generate).reversed()
        #expect(alone.map(\.logprobs) == again.map(\.logprobs))
    }

    /// Merging an adapter alters nothing of the base, and shares what it does not touch.
    @Test func theBaseIsPristineAfterAMerge() throws {
        let golden = try GoldenCase.load("int8--dora-qkv-int8")
        let model = try TestModel(golden, storage: StorageOptions())
        let plain = try TestModel(try GoldenCase.load("int8"), storage: StorageOptions())
        let generator = try Generator(
            model.base.configuration, weights: model.base.weights, eosIDs: [], tokenizer: nil,
            keyValues: .f32,
            on: model.compute)
        let prompt = try #require(golden.prompts.first)
        let request = GenerationRequest(
            prompt: prompt.prompt_ids, maximumTokens: 8, ignoresEOS: true, logprobs: 5)
        #expect(try generator.generate(request).logprobs == plain.generator.generate(request).logprobs)
        for (layer, adapted) in zip(model.base.weights.layers, model.weights.layers) {
            for projection in [Projection.output, .gate, .up, .down] {
                #expect(layer[projection]?.matrix === adapted[projection]?.matrix)
            }
            for projection in [Projection.query, .key, .value] {
                #expect(layer[projection]?.matrix !== adapted[projection]?.matrix)
            }
        }
    }
}
