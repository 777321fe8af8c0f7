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
        let halfCache = storage.weights != .f32
        let reference = try TestModel(golden, storage: storage, halfCache: halfCache)
        let prompt = try #require(golden.prompts.last)
        let expected = try reference.generate(prompt)
        for (chunk, threads, kernels) in [
            (1, 1, nil), (7, 2, nil), (256, 3, nil), (13, 2, "portable"),
            (64, 1, Compute.availableKernels.last),
        ] as [(Int, Int, String?)] {
            let model = try TestModel(
                golden, storage: storage, halfCache: halfCache, chunk: chunk, threads: threads,
                kernels: kernels)
            let found = try model.generate(prompt)
            #expect(found.tokenIDs == expected.tokenIDs)
            #expect(
                found.logprobs == expected.logprobs,
                "chunk \(chunk), \(threads) threads, \(kernels ?? "best")")
        }
    }

    /// A generator has no memory: an earlier request leaves no trace in a later one.
    @Test func anEarlierRequestLeavesNoTrace() throws {
        let golden = try GoldenCase.load("int8--dora-qkv-int8")
        let model = try TestModel(golden, storage: StorageOptions(), halfCache: true)
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
            halfCache: false,
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
