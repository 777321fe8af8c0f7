import Testing

@testable import DoraTensor

/// Storing merged rows is storing the scaled rows, and measuring what is left of their change.
@Suite struct MergedTileTests {
    private static let codebook = Codebook(values: (0..<16).map { (Float($0) - 7.5) / 7.5 })

    private static let formats: [MatrixFormat] = [.f32, .f16, .bf16, .q8, .q4(codebook)]

    @Test(arguments: formats, [64, 100, 256]) func areTheScaledRows(format: MatrixFormat, columns: Int) throws
    {
        let rows = PackedMatrix.tileRows
        let values = (0..<rows * columns).map { Float(($0 * 7919) % 1009) / 1009 - 0.5 }
        let product = LowRankProduct(
            b: (0..<2 * rows).map { Float($0) / 64 }, a: (0..<2 * columns).map { Float($0 % 7) / 16 },
            rank: 2,
            columns: columns, scaling: 0.5)
        let factors = (0..<rows).map { 1 + Float($0) / 8 }
        var found: [[Float]] = []
        for kernels in Compute.availableKernels {
            let compute = try Compute(threads: 1, kernels: kernels)
            // Q8 holds other values than those it was made from.
            let base = try PackedMatrix.build(rows: rows, columns: columns, format: .q8, on: compute) {
                $1.store(tile: $0, rows: values)
            }
            let before = unpacked(base, on: compute)
            let tile = ExactMatrix(matrix: base, values: CodeValues()).tile(0)
            var lanes = [Float](repeating: .nan, count: (columns + 63) / 64 * 64 * rows)
            var squares = [Double](repeating: 0, count: rows)
            product.add(tile: 0, to: tile, into: &lanes, squares: &squares, on: compute)
            let wanted = (0..<rows * columns).map { index in
                let (row, column) = index.quotientAndRemainder(dividingBy: columns)
                return lanes[column * rows + row] * factors[row]
            }
            for row in 0..<rows {
                for column in 0..<columns {
                    let added = (0..<2).reduce(0) {
                        $0 + Double(row * 2 + $1) / 64 * Double(($1 * columns + column) % 7) / 16
                    }
                    let sum = Double(before[row * columns + column]) + 0.5 * added
                    #expect(abs(Double(lanes[column * rows + row]) - sum) <= 1e-6)
                }
            }

            var change = StoredChange.none
            let merged = try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) {
                change = $1.store(tile: $0, rows: &lanes, factors: factors, changedFrom: tile)
            }
            let plain = try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) {
                $1.store(tile: $0, rows: wanted)
            }
            let stored = unpacked(merged, on: compute)
            #expect(stored == unpacked(plain, on: compute))
            found.append(stored)

            var (kept, asked, lost) = (0.0, 0.0, 0.0)
            for index in wanted.indices {
                let asks = Double(wanted[index] - before[index])
                let error = Double(stored[index] - wanted[index])
                kept += asks * Double(stored[index] - before[index])
                asked += asks * asks
                lost += error * error
            }
            #expect(abs(change.survival - kept / asked) <= 1e-5)
            #expect(abs(change.noise - (lost / asked).squareRoot()) <= 1e-5)
            #expect(change.isFaithful && change.fitsHalf)
        }
        #expect(found.allSatisfy { $0 == found[0] })
    }

    @Test(arguments: [
        (largest: Float(65504), least: Float(0x1p-16), true), (65536, 1, false), (1, 0x1p-17, false),
    ]) func aHalfFitsWhereNoRowOverflowsOrSinks(largest: Float, least: Float, fits: Bool) throws {
        let compute = try Compute(threads: 1)
        let (rows, columns) = (PackedMatrix.tileRows, 64)
        // One row at each end, the others between.
        let maxima = (0..<rows).map { $0 == 0 ? largest : $0 == 1 ? least : 1 }
        var lanes = (0..<columns).flatMap { column in maxima.map { column == 3 ? -$0 : $0 / 2 } }
        let zeros = [Float](repeating: 0, count: rows * columns)
        var change = StoredChange.none
        _ = try PackedMatrix.build(rows: rows, columns: columns, format: .f16, on: compute) {
            (tile, builder) in
            zeros.withUnsafeBufferPointer { zeros in
                guard let zeros = zeros.baseAddress else { return }
                change = builder.store(
                    tile: tile, rows: &lanes, factors: [Float](repeating: 1, count: rows),
                    changedFrom: ExactTile(floats: zeros, columns: columns))
            }
        }
        #expect(change.fitsHalf == fits)
    }

    private func unpacked(_ matrix: PackedMatrix, on compute: Compute) -> [Float] {
        var values = [Float](repeating: .nan, count: matrix.rows * matrix.columns)
        matrix.unpack(tile: 0, into: &values, on: compute)
        return values
    }
}
