import COpenBLAS
import Testing

@testable import DoraTensor

/// `out = before + scaling * b a`, against OpenBLAS.
@Suite struct LowRankProductTests {
    struct Shape: CustomTestStringConvertible {
        let rows: Int, columns: Int, rank: Int
        var testDescription: String { "\(rows) x \(columns), rank \(rank)" }
    }

    static let shapes = [
        Shape(rows: 16, columns: 64, rank: 8), Shape(rows: 13, columns: 200, rank: 3),
        Shape(rows: 5, columns: 48, rank: 1), Shape(rows: 15, columns: 1000, rank: 64),
    ]

    private static func floats(_ count: Int, seed: Int) -> [Float] {
        (0..<count).map { Float(($0 * 7919 + seed * 104_729) % 1009) / 1009 - 0.5 }
    }

    @Test(arguments: shapes, Compute.availableKernels)
    func isThatOfOpenBLAS(shape: Shape, kernels: String) throws {
        let (rows, columns, rank) = (shape.rows, shape.columns, shape.rank)
        let compute = try Compute(threads: 1, kernels: kernels)
        let b = Self.floats(rows * rank, seed: 1), a = Self.floats(rank * columns, seed: 2)
        let before = Self.floats(rows * columns, seed: 3)
        let product = LowRankProduct(b: b, a: a, rank: rank, columns: columns, scaling: 0.75)

        var expected = before
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows), Int32(columns), Int32(rank), 0.75, b,
            Int32(rank), a, Int32(columns), 1, &expected, Int32(columns))

        var sum = [Float](repeating: .nan, count: product.blockedCount(rows: rows))
        var squares = [Double](repeating: .nan, count: rows)
        product.add(rows: 0..<rows, to: before, into: &sum, squares: &squares, on: compute)
        func sums(ofRow row: Int) -> [Float] {
            (0..<columns).map { column in
                let block = column / 64 * rows + row
                return sum[block * 64 + column % 64]
            }
        }
        for row in 0..<rows {
            let values = sums(ofRow: row)
            let reference = expected[row * columns..<(row + 1) * columns]
            for (found, wanted) in zip(values, reference) {
                #expect(abs(found - wanted) <= 1e-6 * Float(rank))
            }
            let square = values.reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(abs(squares[row] - square) <= 1e-6 * square)
        }

        // A row has the same bits alone, and what pads it is zero.
        let last = rows - 1
        var alone = [Float](repeating: .nan, count: product.blockedCount(rows: 1)), square = 0.0
        product.add(
            rows: last..<rows, to: Array(before[(last * columns)...]), into: &alone, squares: &square,
            on: compute)
        #expect(Array(alone.prefix(columns)) == sums(ofRow: last))
        #expect(alone.dropFirst(columns).allSatisfy { $0 == 0 })
        #expect(square == squares[last])
    }
}
