import COpenBLAS
import Glibc

/// The largest singular values of a matrix and their vectors, by subspace iteration from a random start that is always the
/// same (Halko, Martinsson and Tropp, arXiv 0909.4061, algorithms 4.4 and 5.1).
///
/// One thread computes, so that the same matrix gives the same bits however many cores there are; on another kind
/// of processor OpenBLAS has other kernels, which round otherwise.
package struct RandomizedSVD {
    package let rows: Int
    package let columns: Int
    /// How many there are: as many as were asked for, or as many as the matrix has.
    package let rank: Int
    /// Largest first, `[rank]`.
    package let values: [Float]
    /// `[rank, rows]`: each singular vector is a row.
    package let left: [Float]
    /// `[rank, columns]`
    package let right: [Float]

    /// Vectors beyond the rank: they make the last ones of it right.
    private static let oversampling = 10
    /// Products with D and its transpose. Each sharpens the values' decay, which is slow where DoRA scales rows.
    private static let iterations = 4

    /// - Parameter matrix: `[rows, columns]`, finite.
    /// - Throws: `Failure`.
    package init(of matrix: UnsafePointer<Float>, rows: Int, columns: Int, rank: Int) throws(Failure) {
        self.rows = rows
        self.columns = columns
        self.rank = min(rank, rows, columns)
        openblas_set_num_threads(1)
        let count = min(self.rank + Self.oversampling, rows, columns)
        var generator = NormalNumbers()
        var z = (0..<columns * count).map { _ in generator.next() }
        var q = [Float](repeating: 0, count: rows * count)
        for iteration in 0...Self.iterations {
            if iteration > 0 { try Self.orthonormalize(&z, rows: columns, columns: count) }
            Self.multiply(matrix, rows: rows, columns: columns, by: z, count: count, into: &q)
            try Self.orthonormalize(&q, rows: rows, columns: count)
            Self.multiplyTransposed(matrix, rows: rows, columns: columns, by: q, count: count, into: &z)
        }
        // z = D^T Q = P S R^T, so that Q Q^T D = (Q R) S P^T.
        let small = try Self.decompose(&z, rows: columns, columns: count)
        values = Array(small.values.prefix(self.rank))
        right = Array(small.left.prefix(self.rank * columns))
        var left = [Float](repeating: 0, count: self.rank * rows)
        // R^T is column by column, so R has its rows behind each other.
        cblas_sgemm(
            CblasColMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(self.rank), Int32(count), 1, q,
            Int32(rows), small.right, Int32(count), 0, &left, Int32(rows))
        self.left = left
    }

    /// LAPACK did not come to an end.
    package struct Failure: Error, CustomStringConvertible {
        package let routine: String
        package let code: Int

        package var description: String {
            "LAPACK's \(routine) failed (\(code)): the matrix may hold numbers that are none"
        }
    }

    /// out = D z, `[count]` columns of `rows`. A matrix row by row is its transpose column by column.
    private static func multiply(
        _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, by z: [Float], count: Int,
        into out: inout [Float]
    ) {
        cblas_sgemm(
            CblasColMajor, CblasTrans, CblasNoTrans, Int32(rows), Int32(count), Int32(columns), 1, matrix,
            Int32(columns), z, Int32(columns), 0, &out, Int32(rows))
    }

    /// out = D^T q
    private static func multiplyTransposed(
        _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, by q: [Float], count: Int,
        into out: inout [Float]
    ) {
        cblas_sgemm(
            CblasColMajor, CblasNoTrans, CblasNoTrans, Int32(columns), Int32(count), Int32(rows), 1, matrix,
            Int32(columns), q, Int32(rows), 0, &out, Int32(columns))
    }

    /// Replaces tall columns by orthonormal ones of the same span: the Q of QR.
    private static func orthonormalize(
        _ matrix: inout [Float], rows: Int, columns: Int
    ) throws(Failure) {
        var (m, n, info, ask) = (Int32(rows), Int32(columns), Int32(0), Int32(-1))
        var tau = [Float](repeating: 0, count: columns)
        var size: Float = 0
        sgeqrf_(&m, &n, &matrix, &m, &tau, &size, &ask, &info)
        var length = Int32(max(size, Float(columns) * 64))
        var work = [Float](repeating: 0, count: Int(length))
        sgeqrf_(&m, &n, &matrix, &m, &tau, &work, &length, &info)
        guard info == 0 else { throw Failure(routine: "sgeqrf", code: Int(info)) }
        var reflectors = n
        sorgqr_(&m, &n, &reflectors, &matrix, &m, tau, &work, &length, &info)
        guard info == 0 else { throw Failure(routine: "sorgqr", code: Int(info)) }
    }

    /// The whole decomposition of a tall matrix, which is used up: `left` `[columns, rows]`, `right` R^T column by column.
    private static func decompose(
        _ matrix: inout [Float], rows: Int, columns: Int
    ) throws(Failure) -> (values: [Float], left: [Float], right: [Float]) {
        var (m, n, info, ask) = (Int32(rows), Int32(columns), Int32(0), Int32(-1))
        var values = [Float](repeating: 0, count: columns)
        var left = [Float](repeating: 0, count: rows * columns)
        var right = [Float](repeating: 0, count: columns * columns)
        var indices = [Int32](repeating: 0, count: 8 * columns)
        var size: Float = 0
        sgesdd_("S", &m, &n, &matrix, &m, &values, &left, &m, &right, &n, &size, &ask, &indices, &info, 1)
        guard info == 0 else { throw Failure(routine: "sgesdd", code: Int(info)) }
        // Sizes are told in F32, which may round them down.
        var length = Int32(size * 1.01) + 64
        var work = [Float](repeating: 0, count: Int(length))
        sgesdd_("S", &m, &n, &matrix, &m, &values, &left, &m, &right, &n, &work, &length, &indices, &info, 1)
        guard info == 0 else { throw Failure(routine: "sgesdd", code: Int(info)) }
        return (values, left, right)
    }
}

/// Normally distributed numbers, always the same ones: SplitMix64 and the polar method of Marsaglia.
private struct NormalNumbers {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var spare: Float?

    private mutating func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return Double((bits ^ bits >> 31) >> 11) * 0x1p-52 - 1
    }

    mutating func next() -> Float {
        if let spare {
            self.spare = nil
            return spare
        }
        while true {
            let (x, y) = (uniform(), uniform())
            let square = x * x + y * y
            guard square > 0, square < 1 else { continue }
            let factor = (-2 * log(square) / square).squareRoot()
            spare = Float(y * factor)
            return Float(x * factor)
        }
    }
}
