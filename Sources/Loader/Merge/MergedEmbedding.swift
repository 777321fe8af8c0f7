import DoraTensor

/// An embedding with a low-rank update: W = E + s (B A)^T `[vocabulary, hidden]`, and with DoRA
/// W'[t, d] = m[d] / ||W[:, d]|| * W[t, d], one norm for each hidden dimension over the whole vocabulary (PEFT
/// `lora/dora.py`, `DoraEmbeddingLayer`).
///
/// Rows are computed when a token asks for them: rank x hidden multiplications, nothing beside a layer's.
struct MergedEmbedding: WeightSource {
    let base: any WeightSource
    /// A^T B^T: tokens by hidden dimensions.
    private let product: LowRankProduct
    /// m / norm `[hidden]`; ones for plain LoRA.
    private var columnScales: [Float]
    /// Dimensions in which W is all zero.
    private(set) var zeroColumns = 0
    /// What the others are scaled by.
    private(set) var ratios = MagnitudeRatios()

    var rows: Int { base.rows }
    var columns: Int { base.columns }
    var nativeFormat: MatrixFormat { .f32 }

    init(base: any WeightSource, update: LowRankUpdate, on compute: Compute) {
        self.base = base
        product = LowRankProduct(
            b: Self.transposed(update.a, rows: update.rank, columns: base.rows),
            a: Self.transposed(update.b, rows: base.columns, columns: update.rank),
            rank: update.rank, columns: base.columns, scaling: update.scaling)
        columnScales = [Float](repeating: 1, count: base.columns)
        guard let magnitude = update.magnitude else { return }
        let norms = columnNorms(on: compute)
        zeroColumns = norms.count { $0 == 0 }
        columnScales = zip(magnitude, norms).map { $1 == 0 ? 0 : $0 / $1 }
        ratios.add(columnScales)
    }

    func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        base.decode(rows: rows, into: out, on: compute)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: product.blockedCount(rows: 1)) { sum in
            guard let sum = sum.baseAddress else { return }
            var square = 0.0
            for (offset, row) in rows.enumerated() {
                let values = out + offset * columns
                product.add(rows: row..<row + 1, to: values, into: sum, squares: &square, on: compute)
                for column in 0..<columns { values[column] = sum[column] * columnScales[column] }
            }
        }
    }

    func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    func dropPages(rows: Range<Int>) { base.dropPages(rows: rows) }

    /// Norms of W's columns: partial sums of a fixed number of rows, added in order.
    private func columnNorms(on compute: Compute) -> [Float] {
        let rowsPerTask = 256
        let tasks = rows.roundedUp(to: rowsPerTask) / rowsPerTask
        let columns = columns
        let partial = [Double](unsafeUninitializedCapacity: tasks * columns) { buffer, count in
            buffer.initialize(repeating: 0)
            count = buffer.count
            guard let sums = buffer.baseAddress else { return }
            compute.parallel(tasks) { task in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
                    guard let row = row.baseAddress else { return }
                    for index in task * rowsPerTask..<min((task + 1) * rowsPerTask, rows) {
                        decode(rows: index..<index + 1, into: row, on: compute)
                        for column in 0..<columns {
                            sums[task * columns + column] += Double(row[column]) * Double(row[column])
                        }
                    }
                }
            }
        }
        return (0..<columns).map { column in
            Float((0..<tasks).reduce(0.0) { $0 + partial[$1 * columns + column] }.squareRoot())
        }
    }

    private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
        var result = [Float](repeating: 0, count: values.count)
        for row in 0..<rows {
            for column in 0..<columns { result[column * rows + row] = values[row * columns + column] }
        }
        return result
    }
}
