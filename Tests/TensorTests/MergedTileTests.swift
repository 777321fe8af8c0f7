import Testing

@testable import DoraTensor

/// Storing merged rows is storing the scaled rows, and measuring what is left of their change.
@Suite struct MergedTileTests {
    private static let codebook = Codebook(values: (0..<16).map { (Float($0) - 7.5) / 7.5 })

    private static let formats: [MatrixFormat] = [.f32, .f16, .bf16, .q8, .q4(codebook)]

    @Test(arguments: formats, [64, 100, 256]) func areTheScaledRows(format: MatrixFormat, columns: Int) throws
    {
        let compute = try Compute(threads: 1)
        let rows = PackedMatrix.tileRows
        let before = (0..<rows * columns).map { Float(($0 * 7919) % 1009) / 1009 - 0.5 }
        let product = LowRankProduct(
            b: (0..<rows).map { Float($0) / 64 }, a: (0..<columns).map { Float($0 % 7) / 16 }, rank: 1,
            columns: columns, scaling: 0.5)
        let factors = (0..<rows).map { 1 + Float($0) / 8 }
        var blocks = [Float](repeating: .nan, count: product.blockedCount(rows: rows))
        var squares = [Double](repeating: 0, count: rows)
        product.add(rows: 0..<rows, to: before, into: &blocks, squares: &squares, on: compute)
        let wanted = (0..<rows * columns).map { index in
            let (row, column) = index.quotientAndRemainder(dividingBy: columns)
            return blocks[(column / 64 * rows + row) * 64 + column % 64] * factors[row]
        }

        var sums = (kept: 0.0, asked: 0.0)
        let merged = try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) {
            sums = $1.store(tile: $0, blocks: &blocks, factors: factors, before: before)
        }
        let plain = try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) {
            $1.store(tile: $0, rows: wanted)
        }
        let stored = unpacked(merged, on: compute)
        #expect(stored == unpacked(plain, on: compute))

        var expected = (kept: 0.0, asked: 0.0)
        for index in wanted.indices {
            let change = Double(wanted[index] - before[index])
            expected.kept += change * Double(stored[index] - before[index])
            expected.asked += change * change
        }
        #expect(abs(sums.kept - expected.kept) <= 1e-5 * expected.asked)
        #expect(abs(sums.asked - expected.asked) <= 1e-5 * expected.asked)
    }

    private func unpacked(_ matrix: PackedMatrix, on compute: Compute) -> [Float] {
        var values = [Float](repeating: .nan, count: matrix.rows * matrix.columns)
        matrix.unpack(tile: 0, into: &values, on: compute)
        return values
    }
}
