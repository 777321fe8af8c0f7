import DoraLoader
import DoraRuntime
import DoraTensor
import Testing
import dora_accuracy

/// What storing costs: the default path against the F32 path, as the mean Kullback-Leibler divergence per token.
@Suite struct StorageTests {
    /// Random models 64 wide have sharp predictions and few terms for rounding errors to cancel in; the bundled
    /// trained one is held to 2e-3 in `DemoModelTests`.
    private static let bound = 1e-2

    @Test(arguments: [
        "gqa-f32--dora-all-linear", "bf16--dora-qkv-bf16", "int8", "int8--dora-qkv-int8", "nf4--dora-all-nf4",
        "nf4-double--dora-qkv-nf4-double", "fp4--dora-qkv-fp4", "nf4-ragged--dora-all-nf4-ragged",
    ]) func theDefaultPathStaysCloseToF32(name: String) throws {
        let golden = try GoldenCase.load(name)
        let exact = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        let stored = try TestModel(golden, storage: StorageOptions(), halfCache: true)
        let found = try divergence(exact, stored, golden)
        #expect(found <= Self.bound)
    }

    @Test func q8WeightsStayCloseToF32() throws {
        let golden = try GoldenCase.load("gqa-f32--dora-qkv")
        let exact = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        let stored = try TestModel(golden, storage: StorageOptions(weights: .q8, merged: .q8, head: .q8))
        let found = try divergence(exact, stored, golden)
        #expect(found <= Self.bound)
    }

    private func divergence(_ p: TestModel, _ q: TestModel, _ golden: GoldenCase) throws -> Double {
        try Divergence(
            of: q.weights, ModelSettings(model: ""), from: p.weights, ModelSettings(model: "", cache: .f32),
            p.base.configuration,
            texts: golden.prompts.map { $0.prompt_ids + $0.greedy_ids }, on: Compute(threads: 2)
        ).mean
    }
}

@Suite struct MergeReportTests {
    @Test func q8KeepsTheAdaptersChange() throws {
        let report = try merge("int8--dora-qkv-int8", .q8)
        #expect(report.entries.count == 6)
        #expect(try #require(report.leastSurvival) > 0.99)
        #expect(report.warnings.isEmpty)
    }

    @Test func f32KeepsAllOfIt() throws {
        #expect(try #require(merge("int8--dora-qkv-int8", .f32).leastSurvival) == 1)
    }

    @Test func fourBitsSayWhatTheyLose() throws {
        let report = try merge("int8--dora-qkv-int8", .q4)
        #expect(try #require(report.leastSurvival) < 1)
        for entry in report.entries where (entry.survival ?? 1) < 0.9 {
            #expect(report.warnings.contains { $0.contains(entry.module) && $0.contains("--merged") })
        }
    }

    private func merge(_ name: String, _ merged: StorageOptions.Merged) throws -> MergeReport {
        let golden = try GoldenCase.load(name)
        let compute = try Compute(threads: 1)
        let base = try BaseModel(
            folder: Fixtures.path("bases/\(golden.base)"), storage: StorageOptions(merged: merged),
            on: compute)
        let adapter = try Adapter(
            folder: Fixtures.path("adapters/\(try #require(golden.adapter))"), fitting: base.inventory,
            baseName: nil)
        return try base.adapted(by: adapter, on: compute).report
    }
}
