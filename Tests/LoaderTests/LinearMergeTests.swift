import DoraTensor
import Testing

@testable import DoraLoader

@Suite struct LinearMergeTests {
    /// No float can be stored as a checkpoint's codes: its head is merged as its other matrices are.
    @Test func aHeadOfCodesIsMergedInEightBits() throws {
        let codebook = FourBitCode.nf4.codebook
        let nesting = ScaleNesting(map: [], groupMaxima: [], offset: 0, groupShift: 8)
        for format in [MatrixFormat.q8Row, .q8, .q4(codebook), .q4Nested(codebook, nesting)] {
            #expect(StorageOptions(head: .native).mergedHeadFormat(base: format) == .q8)
            #expect(StorageOptions(merged: .f32).mergedHeadFormat(base: format) == .f32)
        }
        for format in [MatrixFormat.f32, .f16, .bf16] {
            #expect(StorageOptions().mergedHeadFormat(base: format) == format)
        }
        #expect(StorageOptions(head: .q4).mergedHeadFormat(base: .q4(codebook)) == .q4(codebook))
    }

    /// Large matrices are merged in several steps, whose number depends on the threads; the bits do not.
    @Test func stepsLeaveTheBitsAlone() throws {
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
            var merge = try LinearMerge(source: source, update: update, format: .q8, on: compute)
            var steps = 1
            while true {
                guard let result = merge.step(on: compute) else {
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
                return (steps, result.survival, bits)
            }
        }
        let (alone, together) = (try merged(threads: 1), try merged(threads: 5))
        #expect(alone.steps > together.steps && together.steps == 1)
        #expect(alone.survival == together.survival)
        #expect(alone.bits == together.bits)
    }
}
