import DoraTensor
import Foundation
import Testing

@testable import DoraLoader

/// A packed file is the folder it was made from: the same matrices and the same V, bit for bit.
@Suite struct PackedFileTests {
    static let bases = [
        "bf16", "biases", "f16", "fp4", "fp4-double", "gqa-f32", "int8", "int8-biases", "nf4", "nf4-double",
        "nf4-double-ragged", "nf4-ragged", "nf4-storage-bf16", "nf4-tied", "old-config", "sharded",
        "source-odd",
        "source-odd-int8", "tied-f32", "gguf-classic.gguf", "gguf-k.gguf", "gguf-q8_0.gguf",
        "gguf-split-00001-of-00003.gguf",
        "gptq-4", "gptq-8-asymmetric", "gptq-4-ordered", "gptq-dynamic", "awq-gemm", "awq-gemv",
        "compressed-4-asymmetric", "compressed-4-ordered", "compressed-8", "compressed-mixed", "fp8-blocks",
        "fp8-exponents", "fp8-tensor",
    ]

    @Test(arguments: bases) func aPackedBaseIsTheFoldersBitForBit(name: String) throws {
        try compare(Fixtures.folder + "/bases/" + name, quantization: nil)
    }

    @Test(arguments: ["source-bf16", "source-f16", "source-f32", "source-odd"], Quantization.allCases)
    func quantizingAndPackingAtOnceIsQuantizingAtLoad(name: String, quantization: Quantization) throws {
        try compare(Fixtures.folder + "/bases/" + name, quantization: quantization)
    }

    @Test(arguments: Fixtures.pairs) func anAdapterMergesIntoBothAlike(pair: Fixtures.Pair) throws {
        let compute = try Compute(threads: 2)
        let folder = try ModelFiles(Fixtures.folder + "/bases/" + pair.base)
        let scratch = try TemporaryFolder()
        let packed = try pack(folder, quantization: nil, into: scratch, on: compute)
        for storage in [
            StorageOptions(), StorageOptions(weights: .f32, merged: .f32),
            StorageOptions(merged: .q4, head: .native),
        ] {
            var merged: [ModelWeights] = []
            for files in [folder, packed] {
                let base = try BaseModel(files, storage: storage, on: compute)
                let adapter = try Adapter(
                    folder: Fixtures.folder + "/adapters/" + pair.adapter, fitting: base.inventory,
                    baseName: nil)
                merged.append(try base.adapted(by: adapter, on: compute).weights)
            }
            expectSame(merged[0], merged[1])
        }
    }

    /// Nothing is copied: what runs is the file's own pages.
    @Test func matricesOfADefaultRunLieInTheFile() throws {
        let compute = try Compute(threads: 1)
        let scratch = try TemporaryFolder()
        for name in ["int8", "nf4-double", "bf16", "nf4-tied"] {
            let folder = try ModelFiles(Fixtures.folder + "/bases/" + name)
            let weights = try BaseModel(
                pack(folder, quantization: nil, into: scratch, on: compute), on: compute
            ).weights
            #expect(weights.head.matrix.isMapped)
            #expect(weights.layers.allSatisfy { $0.matrices.allSatisfy(\.isMapped) })
        }
    }

    @Test func aPackedFileCanBePackedAgain() throws {
        let compute = try Compute(threads: 1)
        let scratch = try TemporaryFolder()
        let path = scratch.file("model.dora")
        let folder = try ModelFiles(Fixtures.folder + "/bases/nf4-double")
        try ModelPacking(folder, on: compute).write(to: path)
        let first = try Fixtures.bytes(path)
        // Over itself, too: the file is replaced in one step.
        try ModelPacking(ModelFiles(path), on: compute).write(to: path)
        #expect(try Fixtures.bytes(path) == first)
    }

    private func pack(
        _ files: ModelFiles, quantization: Quantization?, into folder: TemporaryFolder, on compute: Compute
    ) throws -> ModelFiles {
        let path = folder.file("model.dora")
        try ModelPacking(files, quantization: quantization, on: compute).write(to: path)
        try PackedFile(path: path).verify()
        return try ModelFiles(path)
    }

    private func compare(_ path: String, quantization: Quantization?) throws {
        let compute = try Compute(threads: 2)
        let folder = try ModelFiles(path)
        let scratch = try TemporaryFolder()
        let packed = try pack(folder, quantization: quantization, into: scratch, on: compute)
        for storage in [
            StorageOptions(), StorageOptions(weights: .f32), StorageOptions(weights: .q8, head: .q4),
        ] {
            let first = try BaseModel(folder, quantization: quantization, storage: storage, on: compute)
            let second = try BaseModel(packed, storage: storage, on: compute)
            #expect(first.configuration == second.configuration)
            #expect(first.warnings == second.warnings)
            expectSame(first.weights, second.weights)
            for module in first.inventory.modules where module.kind != .norm {
                let sources = try [first.source(of: module.name), second.source(of: module.name)]
                #expect(sources[0].nativeFormat == sources[1].nativeFormat, "\(module.name)")
                #expect(
                    decoded(sources[0], on: compute) == decoded(sources[1], on: compute), "\(module.name)")
            }
        }
        let configuration = try ModelConfiguration(folder)
        #expect(
            try GenerationDefaults(folder, configuration: configuration).eosIDs
                == GenerationDefaults(packed, configuration: configuration).eosIDs)
    }

    private func expectSame(_ first: ModelWeights, _ second: ModelWeights) {
        #expect(first.finalNorm == second.finalNorm)
        expectSame(first.head, second.head, "head")
        for (index, layers) in zip(first.layers, second.layers).enumerated() {
            for place in NormPlace.allCases {
                #expect(layers.0[place] == layers.1[place], "\(index) \(place)")
            }
            for projection in Projection.allCases {
                guard let first = layers.0[projection], let second = layers.1[projection] else {
                    let isAlike = layers.0[projection] == nil && layers.1[projection] == nil
                    #expect(isAlike, "\(index) \(projection)")
                    continue
                }
                expectSame(first, second, "\(index) \(projection)")
            }
        }
    }

    private func expectSame(_ first: Linear, _ second: Linear, _ name: String) {
        #expect(first.matrix.format == second.matrix.format, "\(name)")
        #expect(first.bias == second.bias, "\(name)")
        let same = first.matrix.withArrays { codes, scales in
            second.matrix.withArrays { codes.elementsEqual($0) && scales.elementsEqual($1) }
        }
        #expect(same, "\(name)")
    }

    /// In pieces that fit no tile, as bits: some values may be NaN.
    private func decoded(_ source: any WeightSource, on compute: Compute) -> [UInt32] {
        var values = [Float](repeating: .nan, count: source.rows * source.columns)
        for first in stride(from: 0, to: source.rows, by: 7) {
            values.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                source.decode(
                    rows: first..<min(first + 7, source.rows), into: start + first * source.columns,
                    on: compute)
            }
        }
        return values.map(\.bitPattern)
    }
}
