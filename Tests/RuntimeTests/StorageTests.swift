import DoraRuntime
import DoraTensor
import FoundationEssentials
import Testing
import dora_accuracy

@testable import DoraLoader

/// What storing costs: the default path against the F32 path, as the mean Kullback-Leibler divergence per token.
@Suite struct StorageTests {
    /// Random models 64 wide have sharp predictions and few terms for rounding errors to cancel in; the bundled
    /// trained one is held to 2e-3 in `DemoModelTests`.
    private static let bound = 1e-2

    @Test(arguments: [
        "gqa-f32--dora-all-linear", "bf16--dora-qkv-bf16", "int8", "int8--dora-qkv-int8", "nf4--dora-all-nf4",
        "nf4-double--dora-qkv-nf4-double", "fp4--dora-qkv-fp4", "nf4-ragged--dora-all-nf4-ragged",
        "gguf-classic.gguf--dora-all-gguf", "gguf-k.gguf", "gguf-q4_k.gguf", "gguf-q4_k.gguf--dora-all-q4_k",
        "gguf-q4_k.gguf--lora-all-q4_k", "gguf-q8_0.gguf", "gguf-q8_0.gguf--dora-all-q8_0",
        "gguf-q8_0.gguf--lora-all-q8_0", "gptq-4-ordered", "gptq-4-ordered--dora-quantized", "gptq-dynamic",
        "compressed-4-ordered", "compressed-8--dora-quantized",
    ]) func theDefaultPathStaysCloseToF32(name: String) throws {
        let golden = try GoldenCase.load(name)
        let exact = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        let stored = try TestModel(golden, storage: StorageOptions(), keyValues: .f16)
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

    /// Everything else is exact.
    @Test(arguments: ["gqa-f32--dora-qkv", "head-dim--dora-qkv-head-dim", "bf16--dora-layers"])
    func int8KeysAndValuesStayCloseToF32(name: String) throws {
        let golden = try GoldenCase.load(name)
        let exact = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        let found = try divergence(exact, exact, golden, keyValues: .q8)
        #expect(found <= 2e-3)
        #expect(try divergence(exact, exact, golden, keyValues: .f32) < found)
    }

    private func divergence(
        _ p: TestModel, _ q: TestModel, _ golden: GoldenCase, keyValues: KeyValueFormat? = nil
    ) throws -> Double {
        try Divergence(
            of: q.weights, ModelSettings(model: "", cache: keyValues), from: p.weights,
            ModelSettings(model: "", cache: .f32),
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

    /// Eight bits are no advice to those who have them.
    @Test func adviceThatIsFollowedAlreadyIsNotGiven() throws {
        var report = MergeReport(
            choice: FormChoice(.auto, merged: .auto, base: 1, fixed: 0, mergedBytes: 0, factoredBytes: nil))
        report.add(.init(module: "a", survival: 0.7, noise: 0.5, format: "q8"))
        report.add(.init(module: "b", survival: 1, noise: 1.2, format: "q4"))
        report.add(.init(module: "c", survival: 0.96, noise: 0.9, format: "q8"))
        let summary = try #require(report.warnings.first).summary
        #expect(summary.hasPrefix("2 of 3 adapted matrices") && summary.hasSuffix("use --merged auto or f32"))
        #expect(summary.contains("the worst is b, where q4 keeps 100.0 % of it under 120.0 % of noise"))
    }

    @Test func rowsOfZerosAreOneLine() throws {
        var report = MergeReport(
            choice: FormChoice(.auto, merged: .auto, base: 1, fixed: 0, mergedBytes: 0, factoredBytes: nil))
        for (module, zeros) in [("a", 1), ("b", 0), ("c", 40)] {
            report.add(.init(module: module, survival: 1, noise: 0, format: "q8"), zeros: zeros)
        }
        #expect(report.warnings.count == 1)
        #expect(
            report.warnings.first?.summary.hasPrefix("41 rows of 2 adapted matrices are all zero") == true)
        #expect(report.warnings.first?.details == ["c: 40 rows are all zero", "a: 1 rows are all zero"])
        #expect(report.entries.map(\.zeroRows) == [1, 0, 40])
    }

    @Test func f32KeepsAllOfIt() throws {
        #expect(try #require(merge("int8--dora-qkv-int8", .f32).leastSurvival) == 1)
    }

    @Test func fourBitsSayWhatTheyLose() throws {
        // A change that is small beside its matrix. One line counts what loses it, names the worst and says what to do.
        let folder = try lightAdapter(alpha: "0.1")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let report = try merge("gqa-f32", adapter: folder, .q4)
        let lossy = report.entries.filter { $0.change?.isFaithful == false }
        let worst = try #require(lossy.max { ($0.change?.noise ?? 0) < ($1.change?.noise ?? 0) })
        try #require(lossy.count > 1)
        let warning = try #require(report.warnings.first)
        #expect(report.warnings.count == 1)
        #expect(
            warning.summary.hasPrefix("\(lossy.count) of 6 adapted matrices do not keep the adapter's change")
        )
        #expect(
            warning.summary.contains(worst.module) && warning.summary.contains("--merged q8, f32 or auto"))
        #expect(!warning.summary.contains("\n"))
        #expect(warning.details.count == lossy.count && warning.details[0].contains(worst.module))
    }

    /// The same small change, over 8- and 4-bit bases: no default loses it, and one line says what it costs.
    @Test(arguments: ["int8", "nf4-double"]) func defaultsRaiseTheFormatUntilTheChangeIsKept(base: String)
        throws
    {
        let folder = try lightAdapter(alpha: "0.03")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let report = try merge(base, adapter: folder, .auto)
        #expect(report.entries.allSatisfy { $0.change?.isFaithful == true })
        #expect(report.entries.contains { $0.tooCoarse.first?.format == "q8" && $0.format == "f16" })
        #expect(report.warnings.count == 1)
        #expect(report.warnings.first?.summary.contains("are stored more finely") == true)
    }

    /// What asks for nothing keeps the base's own matrices.
    @Test func anAdapterWithoutEffectLeavesTheBaseAlone() throws {
        let folder = try lightAdapter(alpha: "0")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let compute = try Compute(threads: 1)
        let base = try BaseModel(folder: Fixtures.path("bases/int8"), storage: StorageOptions(), on: compute)
        let adapter = try Adapter(folder: folder, fitting: base.inventory, baseName: nil)
        let (weights, report) = try base.adapted(by: adapter, on: compute)
        #expect(weights.layers[0][.query]?.matrix === base.weights.layers[0][.query]?.matrix)
        #expect(report.bytes == 0)
    }

    private func lightAdapter(alpha: String) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: Fixtures.url("adapters/lora-plain"), to: folder)
        let file = folder.appending(path: "adapter_config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacing("\"lora_alpha\": 16", with: "\"lora_alpha\": \(alpha)").utf8).write(to: file)
        return folder.path
    }

    private func merge(_ name: String, _ merged: StorageOptions.Merged) throws -> MergeReport {
        let golden = try GoldenCase.load(name)
        return try merge(
            golden.base, adapter: Fixtures.path("adapters/\(try #require(golden.adapter))"), merged)
    }

    private func merge(
        _ base: String, adapter: String, _ merged: StorageOptions.Merged
    ) throws -> MergeReport {
        let compute = try Compute(threads: 1)
        let base = try BaseModel(
            folder: Fixtures.path("bases/\(base)"), storage: StorageOptions(merged: merged), on: compute)
        let adapter = try Adapter(folder: adapter, fitting: base.inventory, baseName: nil)
        return try base.adapted(by: adapter, on: compute).report
    }
}

extension MergeReport.Entry {
    fileprivate init(module: String, survival: Double, noise: Double, format: String) {
        self.init(
            module: module, method: nil, rank: 8, scaling: 1, hasMagnitude: true, bytes: 1, format: format,
            change: StoredChange(kept: survival, asked: 1, lost: noise * noise), tooCoarse: [])
    }
}
