import DoraTensor
import Testing

@testable import DoraLoader

/// Which form an adapter gets, and the norms of the factored one.
@Suite struct AdapterFormTests {
    private func choice(
        _ base: String, _ adapter: String, _ storage: StorageOptions = StorageOptions()
    ) throws -> FormChoice {
        let compute = try Compute(threads: 1)
        let base = try BaseModel(folder: Fixtures.folder + "/bases/\(base)", storage: storage, on: compute)
        let adapter = try Adapter(
            folder: Fixtures.folder + "/adapters/\(adapter)", fitting: base.inventory, baseName: nil)
        return try base.formChoice(of: adapter)
    }

    /// Four bits are left alone; where merging costs little, that is done.
    @Test func matricesThatWouldGrowAreFactored() throws {
        #expect(try choice("nf4", "dora-all-nf4").form == .factored)
        #expect(try choice("fp4", "dora-qkv-fp4").form == .factored)
        #expect(try choice("int8", "dora-qkv-int8").form == .merged)
        #expect(try choice("f16", "dora-qkv-f16").form == .merged)
        #expect(try choice("gqa-f32", "dora-all-linear").form == .merged)
    }

    @Test func whatIsAskedForIsDone() throws {
        let nf4 = ("nf4", "dora-all-nf4")
        #expect(try choice(nf4.0, nf4.1, StorageOptions(form: .merged)).form == .merged)
        #expect(try choice(nf4.0, nf4.1, StorageOptions(merged: .q8)).form == .merged)
        #expect(try choice(nf4.0, nf4.1, StorageOptions(merged: .q8, form: .factored)).form == .factored)
        let forced = try choice("int8", "dora-qkv-int8", StorageOptions(form: .factored))
        #expect(forced.form == .factored)
        let (merged, factored) = (try #require(forced.addedBytes(.merged)), forced.addedBytes(.factored))
        #expect(forced.baseBytes > 0 && merged != factored)
    }

    /// Methods without factors, and modules that are replaced whole, are merged whatever is asked for.
    @Test(arguments: ["ia3-default", "loha-all", "dora-save-norm"]) func whatHasNoFactorsIsMerged(
        name: String
    ) throws {
        let choice = try choice("gqa-f32", name, StorageOptions(form: .factored))
        #expect((choice.factoredBytes == nil) == (choice.form == .merged))
        if name != "dora-save-norm" { #expect(choice.form == .merged) }
    }

    /// m / ||V + s B A|| against the norms in F64, to 1e-6, on every kind of base.
    @Test(arguments: [
        ("gqa-f32", "dora-qkv"), ("f16", "dora-qkv-f16"), ("int8", "dora-qkv-int8"),
        ("nf4-double", "dora-qkv-nf4-double"), ("fp4", "dora-qkv-fp4"), ("gqa-f32", "dora-all-linear"),
        ("gqa-f32", "dora-rank-37"),
    ]) func theScalesAreThoseOfTheNorms(base name: String, adapter folder: String) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(
            folder: Fixtures.folder + "/bases/\(name)", storage: StorageOptions(form: .factored), on: compute)
        let adapter = try Adapter(
            folder: Fixtures.folder + "/adapters/\(folder)", fitting: base.inventory, baseName: nil)
        let weights = try base.adapted(by: adapter, on: compute).weights
        var count = 0
        for module in adapter.inventory.modules where module.kind == .linear {
            guard let update = adapter.updates[module.name] as? LowRankUpdate,
                let magnitude = update.magnitude
            else { continue }
            let linear = try #require(weights.linear(at: module.place))
            let scales = try #require(linear.part?.scales)
            #expect(linear.matrix === base.weights.linear(at: module.place)?.matrix)
            let source = try base.source(of: module.name)
            var row = [Float](repeating: 0, count: source.columns)
            for output in 0..<source.rows {
                row.withUnsafeMutableBufferPointer { row in
                    guard let start = row.baseAddress else { return }
                    source.decode(rows: output..<output + 1, into: start, on: compute)
                }
                var square = 0.0
                for column in 0..<source.columns {
                    let added = (0..<update.rank).reduce(0.0) {
                        $0 + Double(update.b[output * update.rank + $1])
                            * Double(update.a[$1 * source.columns + column])
                    }
                    let sum = Double(row[column]) + Double(update.scaling) * added
                    square += sum * sum
                }
                let wanted = Double(magnitude[output]) / square.squareRoot()
                #expect(abs(Double(scales[output]) - wanted) <= 1e-6 * abs(wanted))
            }
            count += 1
        }
        #expect(count > 0)
    }

    /// Rows of V + s B A that are all zero have no direction: their scale is 0, as in a merge.
    @Test func rowsOfZerosAreScaledToNothing() throws {
        let (rows, columns) = (20, 64)
        let compute = try Compute(threads: 1)
        var values = (0..<rows * columns).map { Float($0 % 7) - 3 }
        for column in 0..<columns { values[3 * columns + column] = 0 }
        let source = try DenseWeights(
            TensorView(name: "v", file: "test", shape: [rows, columns], floats: values), rows: rows,
            columns: columns)
        var b = [Float](repeating: 1, count: rows)
        b[3] = 0
        let update = LowRankUpdate(
            rank: 1, scaling: 1, a: [Float](repeating: 0.5, count: columns), b: b,
            magnitude: [Float](repeating: 2, count: rows), outputBias: nil)
        var factoring = LinearFactoring(source: source, matrix: nil, update: update, isHalf: true)
        let result = try #require(try factoring.step(on: compute))
        let scales = try #require(result.part?.scales)
        #expect(result.zeroRows == 1 && !result.isBroken)
        #expect(scales[3] == 0 && !scales.enumerated().contains { $0.offset != 3 && $0.element <= 0 })
    }

    @Test func valuesThatAreNoneAreRefused() throws {
        let compute = try Compute(threads: 1)
        let source = try DenseWeights(
            TensorView(name: "v", file: "test", shape: [16, 64], floats: [Float](repeating: 1, count: 1024)),
            rows: 16, columns: 64)
        for value in [Float.infinity, .nan, 1e30] {
            let update = LowRankUpdate(
                rank: 1, scaling: 1, a: [Float](repeating: value, count: 64),
                b: [Float](repeating: 1, count: 16), magnitude: [Float](repeating: 2, count: 16),
                outputBias: nil)
            var factoring = LinearFactoring(source: source, matrix: nil, update: update, isHalf: true)
            #expect(try factoring.step(on: compute)?.isBroken == true)
        }
    }
}
