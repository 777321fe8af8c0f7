import DoraExport
import DoraLoader
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

/// The closest plain LoRA to what an adapter changes.
@Suite struct LowRankExportTests {
    private let compute = try? Compute(threads: 2)

    private func model(_ base: String, _ adapter: String) throws -> MergedModel {
        try MergedModel(
            ModelFiles(Fixtures.path("bases/" + base)),
            adapter: AdapterSum(Fixtures.path("adapters/" + adapter)), on: try #require(compute))
    }

    private func export(
        _ model: MergedModel, rank: Int, to path: String
    ) throws -> [LowRankExport.Kept] {
        var kept: [LowRankExport.Kept] = []
        let export = try LowRankExport(
            model, rank: rank, elementType: .f32, on: try #require(compute))
        _ = try export.write(to: path, kept: { kept.append($0) })
        return kept
    }

    /// Its rank is no greater than what was asked for.
    @Test func aLoRAIsKeptWhole() throws {
        let folder = try TemporaryFolder()
        let model = try model("gqa-f32", "lora-plain")
        let kept = try export(model, rank: 8, to: folder.file("out"))
        #expect(kept.count == model.adapter?.updates.count && !kept.isEmpty)
        for matrix in kept { #expect(matrix.energy > 1 - 1e-6, "\(matrix)") }
        let read = try MergedModel(
            model.files, adapter: AdapterSum(folder.file("out")), on: try #require(compute))
        let adapter = try #require(read.adapter)
        #expect(Set(adapter.updates.keys) == Set(kept.map(\.module)))
        #expect(adapter.updates.values.allSatisfy { $0.scaling == 1 && $0.rank == 8 && !$0.hasMagnitude })
        try expectNear(model, read, within: 1e-5)
    }

    /// DoRA scales rows, so its change has no low rank; more of it is kept the higher the rank is, and all at the full one.
    @Test func moreIsKeptTheHigherTheRank() throws {
        let folder = try TemporaryFolder()
        let model = try model("gqa-f32", "dora-qkv")
        var before = [Double](repeating: 0, count: 6)
        for rank in [1, 4, 16, 64] {
            let path = folder.file("\(rank)")
            let kept = try export(model, rank: rank, to: path)
            for (matrix, before) in zip(kept, before) { #expect(matrix.energy > before, "\(matrix)") }
            before = kept.map(\.energy)
            let read = try MergedModel(
                model.files, adapter: AdapterSum(path), on: try #require(compute))
            // What is printed is what is missing.
            for matrix in kept {
                let missing = try squaredDistance(model, read, matrix.module) / matrix.total
                #expect(abs(1 - matrix.energy - missing) < 1e-5, "\(matrix) \(missing)")
            }
        }
        #expect(before.allSatisfy { $0 > 1 - 1e-6 })
    }

    @Test func theTargetsAreThoseModulesAndNoOthers() throws {
        let folder = try TemporaryFolder()
        for (adapter, isListed) in [("dora-qkv", false), ("dora-layers", true), ("dora-patterns", false)] {
            let base = adapter == "dora-layers" ? "bf16" : "gqa-f32"
            let model = try model(base, adapter)
            _ = try export(model, rank: 2, to: folder.file(adapter))
            let json = try JSONValue(
                parsing: Array(text(folder.file(adapter + "/adapter_config.json")).utf8)
            ).object
            let targets = json?["target_modules"]?.array?.compactMap(\.string) ?? []
            #expect(targets.contains { $0.contains(".") } == isListed, "\(targets)")
            #expect(json?["r"] == json?["lora_alpha"])
            // Refuses what is targeted and not there, and the other way round.
            _ = try MergedModel(
                model.files, adapter: AdapterSum(folder.file(adapter)), on: try #require(compute))
        }
    }

    @Test(arguments: [
        ("gqa-f32", "dora-save-norm", "norm"), ("gqa-f32", "dora-embed", "embed_tokens"),
        ("gqa-f32", "dora-tokens", "embed_tokens"), ("gqa-f32", "dora-resized-save", "embed_tokens"),
    ]) func whatIsNoMatrixOfALinearLayerIsRefused(base: String, adapter: String, name: String) throws {
        let model = try model(base, adapter)
        let error = #expect(throws: LoadError.self) {
            try LowRankExport(model, rank: 4, elementType: .f32, on: try #require(compute))
        }
        #expect(error?.code == .unsupported && error?.field?.contains(name) == true)
    }

    @Test(arguments: [("biases", "lora-bias-all"), ("gqa-f32", "lora-bias-b"), ("biases", "ia3-biases")])
    func biasesAreNamed(base: String, adapter: String) throws {
        let export = try LowRankExport(
            model(base, adapter), rank: 4, elementType: .f32, on: try #require(compute))
        #expect(export.warnings.count == 1)
        #expect("\(export.warnings)".contains("biases") && "\(export.warnings)".contains("_proj.bias"))
    }

    /// A head that the adapter brings whole is a matrix like others.
    @Test func aReplacedHeadIsAChangeToo() throws {
        let folder = try TemporaryFolder()
        let kept = try export(model("gqa-f32", "dora-save-head"), rank: 64, to: folder.file("out"))
        #expect(kept.contains { $0.module == "lm_head" && $0.energy > 1 - 1e-6 })
    }

    private func values(_ model: MergedModel, _ module: String) throws -> [Float] {
        let module = try #require(model.inventory[module])
        var rows = try model.sides(of: module).merged
        var values = [Float](repeating: 0, count: rows.rows * rows.columns)
        try values.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            try rows.read(rows: 0..<rows.rows, into: start, on: try #require(compute))
        }
        return values
    }

    private func squaredDistance(_ a: MergedModel, _ b: MergedModel, _ module: String) throws -> Double {
        try zip(values(a, module), values(b, module)).reduce(0.0) { sum, pair in
            let difference = Double(pair.0 - pair.1)
            return sum + difference * difference
        }
    }

    private func expectNear(_ a: MergedModel, _ b: MergedModel, within tolerance: Float) throws {
        for module in a.inventory.modules where module.kind == .linear {
            for (mine, theirs) in zip(try values(a, module.name), try values(b, module.name)) {
                #expect(abs(mine - theirs) <= tolerance, "\(module.name)")
            }
        }
    }
}

@Suite struct RandomizedSVDTests {
    /// A matrix of known singular values: those that were asked for are found, largest first, and the vectors are right.
    @Test(arguments: [(40, 90), (90, 40), (200, 150)]) func theLargestAreFound(rows: Int, columns: Int) throws
    {
        // U and V of Householder's reflections, so that the values are exact.
        var values: [Float] = [1]
        while values.count < min(rows, columns) { values.append(values[values.count - 1] * 0.84) }
        let (u, v) = (reflection(rows), reflection(columns))
        var matrix = [Float](repeating: 0, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                var sum: Float = 0
                for (index, value) in values.enumerated() {
                    sum += u[row * rows + index] * value * v[column * columns + index]
                }
                matrix[row * columns + column] = sum
            }
        }
        let svd = try RandomizedSVD(of: matrix, rows: rows, columns: columns, rank: 8)
        #expect(svd.rank == 8)
        for (index, value) in svd.values.enumerated() {
            #expect(abs(value - values[index]) < 1e-5 * values[0], "\(index)")
            // D v = s u
            for row in 0..<rows {
                let product = (0..<columns).reduce(Float(0)) {
                    $0 + matrix[row * columns + $1] * svd.right[index * columns + $1]
                }
                #expect(abs(product - value * svd.left[index * rows + row]) < 2e-5)
            }
        }
    }

    @Test func aMatrixOfZerosHasNone() throws {
        let svd = try RandomizedSVD(of: [Float](repeating: 0, count: 60), rows: 6, columns: 10, rank: 20)
        #expect(svd.rank == 6 && svd.values.allSatisfy { $0 == 0 })
    }

    /// I - 2 w w^T, orthogonal and dense.
    private func reflection(_ size: Int) -> [Float] {
        let w = (0..<size).map { 1 + Float($0 % 7) }
        let square = w.reduce(0) { $0 + $1 * $1 }
        var matrix = [Float](repeating: 0, count: size * size)
        for row in 0..<size {
            for column in 0..<size {
                matrix[row * size + column] = (row == column ? 1 : 0) - 2 * w[row] * w[column] / square
            }
        }
        return matrix
    }
}
