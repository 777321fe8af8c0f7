import DoraTensor
import Testing

@testable import DoraLoader

@Suite struct LinearMergeTests {
    /// No float can be stored as a checkpoint's codes: its head is merged as its other matrices are.
    @Test func aHeadOfCodesIsMergedInEightBits() throws {
        let codebook = FourBitCode.nf4.codebook
        let nesting = ScaleNesting(map: [], groupMaxima: [], offset: 0, groupShift: 8)
        func formats(_ storage: StorageOptions, over native: MatrixFormat, isUpdate: Bool) -> [MatrixFormat] {
            storage.mergedFormats(of: ModuleInventory.head, over: native, isUpdate: isUpdate)
        }
        for native in [
            MatrixFormat.q8Row, .q8, .q4(codebook), .q4Nested(codebook, nesting), .q8_0, .affine(.scales),
            .q6_K,
        ] {
            #expect(formats(StorageOptions(head: .native), over: native, isUpdate: false) == [.q8])
            #expect(
                formats(StorageOptions(head: .native), over: native, isUpdate: true) == [.q8, .f16, .f32])
            #expect(formats(StorageOptions(merged: .f32), over: native, isUpdate: true) == [.f32])
        }
        for native in [MatrixFormat.f32, .f16, .bf16] {
            #expect(formats(StorageOptions(), over: native, isUpdate: false) == [native])
        }
        #expect(
            formats(StorageOptions(head: .q4), over: .q4(codebook), isUpdate: true) == [.q4(codebook)])
    }

    /// A training step below half of BF16's own step is lost in BF16, and kept in F16; one far below F16's is kept in
    /// F32; and a row that F16 cannot hold sends the matrix on.
    @Test(arguments: [
        (change: Float(1e-3), largest: Float(1), MatrixFormat.f16, 0), (1e-7, 1, .f32, 2),
        (0.1, 98304, .bf16, 1), (1e-4, 98304, .f32, 2),
    ]) func aChangeIsStoredWhereItSurvives(
        change: Float, largest: Float, format: MatrixFormat, raised: Int
    ) throws {
        let (rows, columns) = (48, 128)
        var values = (0..<rows * columns).map { Float(($0 * 7919) % 255 - 127) / 256 }
        values[5] = largest
        let source = BrainWeights(rows: rows, columns: columns, values: values)
        let update = LowRankUpdate(
            rank: 1, scaling: 1, a: (0..<columns).map { Float($0 % 5) - 2.3 },
            b: [Float](repeating: change, count: rows), magnitude: nil, outputBias: nil)
        let compute = try Compute(threads: 2)
        var merge = try LinearMerge(
            source: source, matrix: nil, update: update,
            formats: StorageOptions().mergedFormats(of: "q_proj", over: .bf16, isUpdate: true), on: compute)
        var result = try merge.step(on: compute)
        while result == nil { result = try merge.step(on: compute) }
        let found = try #require(result)
        #expect(found.matrix.format == format)
        #expect(found.tooCoarse.count == raised)
        #expect(try #require(found.change).isFaithful)
    }

    /// Large matrices are merged in several steps, whose number depends on the threads; the bits do not.
    @Test(arguments: [false, true]) func stepsLeaveTheBitsAlone(isStored: Bool) throws {
        let (rows, columns, rank) = (300, 1 << 14, 2)
        func floats(_ count: Int, _ seed: Int) -> [Float] {
            (0..<count).map { Float(($0 * 7919 + seed) % 1009) / 1009 - 0.5 }
        }
        let source = try DenseWeights(
            TensorView(name: "v", file: "test", shape: [rows, columns], floats: floats(rows * columns, 1)),
            rows: rows, columns: columns)
        let update = LowRankUpdate(
            rank: rank, scaling: 0.5, a: floats(rank * columns, 2), b: floats(rows * rank, 3),
            magnitude: floats(rows, 4), outputBias: nil)
        func merged(threads: Int) throws -> (steps: Int, survival: Double?, bits: [Float]) {
            let compute = try Compute(threads: threads)
            let matrix = isStored ? try source.packed(as: .f32, on: compute) : nil
            var merge = try LinearMerge(
                source: source, matrix: matrix, update: update, formats: [.q8], on: compute)
            var steps = 1
            while true {
                guard let result = try merge.step(on: compute) else {
                    steps += 1
                    continue
                }
                var bits = [Float](repeating: 0, count: result.matrix.tileCount * 16 * columns)
                bits.withUnsafeMutableBufferPointer { buffer in
                    guard let start = buffer.baseAddress else { return }
                    for tile in 0..<result.matrix.tileCount {
                        result.matrix.unpack(tile: tile, into: start + tile * 16 * columns, on: compute)
                    }
                }
                return (steps, result.change?.survival, bits)
            }
        }
        let (alone, together) = (try merged(threads: 1), try merged(threads: 5))
        #expect(alone.steps > together.steps && together.steps == 1)
        #expect(alone.survival == together.survival)
        #expect(alone.bits == together.bits)
    }
}

/// A base in BF16.
private struct BrainWeights: WeightSource {
    let rows: Int
    let columns: Int
    let values: [Float]
    var nativeFormat: MatrixFormat { .bf16 }

    func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        for (place, value) in values[rows.lowerBound * columns..<rows.upperBound * columns].enumerated() {
            out[place] = value
        }
    }

    func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    func dropPages(rows: Range<Int>) {}
}
