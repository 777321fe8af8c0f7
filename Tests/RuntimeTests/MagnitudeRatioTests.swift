import DoraLoader
import DoraTensor
import Foundation
import Testing

/// Every method's rows are one thread's affair.
@Suite struct MethodInvarianceTests {
    @Test(arguments: [
        "ia3-default", "loha-all", "lokr-right", "vera-all", "oft-blocks", "oft-exact", "oft-coft",
        "paper-dora",
    ]) func threadsLeaveTheBitsAlone(name: String) throws {
        let matrices = try [1, 3].map { threads in
            let compute = try Compute(threads: threads)
            let base = try BaseModel(
                folder: Fixtures.path("bases/gqa-f32"), storage: StorageOptions(), on: compute)
            let adapter = try Adapter(
                folder: Fixtures.path("adapters/\(name)"), fitting: base.inventory, baseName: nil)
            return try base.adapted(by: adapter, on: compute).weights.layers.flatMap { layer in
                layer.matrices.map { $0.withArrays { codes, _ in Array(codes) } }
            }
        }
        let isSame = matrices[0] == matrices[1]
        #expect(isSame)
    }
}

/// A base that an adapter was not trained on shows in m / ||V + s B A||.
@Suite struct MagnitudeRatioTests {
    @Test(arguments: [
        ("gqa-f32", "dora-qkv"), ("gqa-f32", "dora-all-linear"), ("gqa-f32", "dora-embed-head"),
        ("nf4", "dora-qkv-nf4"), ("gqa-f32", "paper-dora"),
    ]) func onItsOwnBaseItIsNearOne(base: String, adapter: String) throws {
        let report = try merge(Fixtures.path("bases/\(base)"), Fixtures.path("adapters/\(adapter)"))
        let median = try #require(report.ratios.median)
        let spread = try #require(report.ratios.spread)
        #expect((0.8...1.25).contains(median) && spread.contains(median))
        #expect(spread.lowerBound > 0.4 && spread.upperBound < 2)
        #expect(!report.warnings.contains { $0.summary.contains("magnitudes") })
    }

    /// The bundled adapters were really trained, at a high rate.
    @Test(arguments: ["sentiment", "topic"]) func aTrainedAdapterStaysCloseToOne(name: String) throws {
        let models = Fixtures.url("../../models")
        let report = try merge(
            models.appending(path: "base").path, models.appending(path: "adapters/\(name)").path)
        #expect((0.85...1.15).contains(try #require(report.ratios.median)))
    }

    /// The same shapes, other weights: of four times the size, or of a quarter of it.
    @Test(arguments: [Float(4), 0.25]) func onAnotherBaseItWarns(factor: Float) throws {
        let base = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: Fixtures.url("bases/gqa-f32"), to: base)
        defer { try? FileManager.default.removeItem(at: base) }
        let file = base.appending(path: "model.safetensors")
        var bytes = [UInt8](try Data(contentsOf: file))
        let start = 8 + bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
        bytes.withUnsafeMutableBytes { bytes in
            for offset in stride(from: start, to: bytes.count, by: 4) {
                let value = bytes.loadUnaligned(fromByteOffset: offset, as: Float.self)
                bytes.storeBytes(of: value * factor, toByteOffset: offset, as: Float.self)
            }
        }
        try Data(bytes).write(to: file)
        let report = try merge(base.path, Fixtures.path("adapters/dora-qkv"))
        let median = try #require(report.ratios.median)
        #expect(factor > 1 ? median < 0.5 : median > 2)
        let warning = try #require(report.warnings.first { $0.summary.contains("magnitudes") })
        #expect(warning.summary.contains("another base (it names gqa-f32)"))
        #expect(!warning.summary.contains("\n"))
    }

    @Test func withoutMagnitudesThereIsNothingToSay() throws {
        let report = try merge(Fixtures.path("bases/gqa-f32"), Fixtures.path("adapters/lora-plain"))
        #expect(report.ratios.isEmpty && report.ratios.isPlausible)
    }

    private func merge(_ base: String, _ adapter: String) throws -> MergeReport {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: base, storage: StorageOptions(), on: compute)
        return try base.adapted(
            by: Adapter(folder: adapter, fitting: base.inventory, baseName: nil), on: compute
        ).report
    }
}
