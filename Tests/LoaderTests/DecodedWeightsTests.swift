import Crypto
import DoraTensor
import Foundation
import Testing

@testable import DoraLoader

/// V, which `--weights f32` computes with and merges read, is bit-exact to the format: digests of numpy's decoding of
/// what bitsandbytes wrote. A base named `source-X-Q` is also quantized from `source-X` at load.
@Suite struct DecodedWeightsTests {
    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures")

    private static let bases: [String] = {
        let folder = fixtures.appending(path: "golden/decoded").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
    }()

    @Test func theBasesAreThere() { #expect(Self.bases.count >= 20) }

    @Test(arguments: bases) func writtenCheckpointsDecodeExactly(name: String) throws {
        let compute = try Compute(threads: 1)
        try compare(try BaseModel(folder: path(name), on: compute), with: name, on: compute)
    }

    @Test(arguments: bases.filter { $0.hasPrefix("source-") }) func quantizingAtLoadGivesTheSameWeights(
        name: String
    ) throws {
        let parts = name.split(separator: "-", maxSplits: 2)
        let quantization = try #require(Quantization(rawValue: String(parts[2])))
        let compute = try Compute(threads: 2)
        let base = try BaseModel(
            folder: path("source-\(parts[1])"), quantization: quantization, on: compute)
        // The offset of double quantization is a mean, whose last bit follows torch's order of summation.
        if name == "source-f32-nf4-double" {
            try compareLoosely(base, with: try BaseModel(folder: path(name), on: compute), on: compute)
        } else {
            try compare(base, with: name, on: compute)
        }
    }

    private func path(_ base: String) -> String { Self.fixtures.appending(path: "bases/\(base)").path }

    private func decode(_ source: any WeightSource, on compute: Compute) -> [Float] {
        var values = [Float](repeating: .nan, count: source.rows * source.columns)
        // In pieces that fit neither tiles nor blocks, as any reader may ask for.
        for first in stride(from: 0, to: source.rows, by: 7) {
            let rows = first..<min(first + 7, source.rows)
            values.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                source.decode(rows: rows, into: start + first * source.columns, on: compute)
            }
        }
        return values
    }

    private func compare(_ base: BaseModel, with name: String, on compute: Compute) throws {
        let digests = try JSONDecoder().decode(
            [String: String].self,
            from: Data(contentsOf: Self.fixtures.appending(path: "golden/decoded/\(name).json")))
        #expect(!digests.isEmpty)
        for (module, digest) in digests {
            let values = decode(try base.source(of: module), on: compute)
            let found = SHA256.hash(data: values.withUnsafeBytes { Data($0) })
            #expect(found.map { String(format: "%02x", $0) }.joined() == digest, "\(module)")
        }
    }

    private func compareLoosely(_ base: BaseModel, with other: BaseModel, on compute: Compute) throws {
        for module in base.inventory.modules where module.kind == .linear {
            let mine = decode(try base.source(of: module.name), on: compute)
            let theirs = decode(try other.source(of: module.name), on: compute)
            for (a, b) in zip(mine, theirs) { #expect(abs(a - b) <= 4 * abs(b).ulp) }
        }
    }
}
