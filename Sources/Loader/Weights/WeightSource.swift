package import DoraTensor

/// Where a weight matrix V `[rows, columns]` comes from: the checkpoint's bytes, decoded exactly as their format says.
/// Packing and merging read it tile by tile, so no F32 copy of a model ever exists.
package protocol WeightSource: Sendable {
    var rows: Int { get }
    var columns: Int { get }
    /// The format that stores the matrix as the checkpoint holds it, or comes closest to it.
    var nativeFormat: MatrixFormat { get }
    /// The order in which `storeNative` leaves a row's inputs; nil for that of V.
    var inputOrder: InputOrder? { get }
    /// Whether a matrix stored in the format stands for exactly V.
    func isExact(in format: MatrixFormat) -> Bool
    /// What the codes of `nativeFormat` stand for where that has 4 bits; elsewhere the tiles say it all.
    var fourBitValues: FourBitValues? { get }
    /// The type that V is rounded to where `nativeFormat` holds the checkpoint's codes and scales; F32 rounds nothing.
    var codeRounding: ElementType { get }
    /// The matrix as it lies in a packed file already; nil where it has to be packed.
    var stored: PackedMatrix? { get }
    /// V's rows as F32, `[rows.count, columns]`, bit-exact to the format.
    func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute)
    /// Stores one tile in `nativeFormat`.
    func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute)
    /// Says that the rows will not be read soon, so that their pages can go.
    func dropPages(rows: Range<Int>)
}

extension WeightSource {
    package var fourBitValues: FourBitValues? { nil }
    package var codeRounding: ElementType { .f32 }
    package var stored: PackedMatrix? { nil }
    package var inputOrder: InputOrder? { nil }
    package func isExact(in format: MatrixFormat) -> Bool { format == nativeFormat }

    /// The rows of a tile that exist.
    package func rowRange(ofTile tile: Int) -> Range<Int> {
        let first = tile * PackedMatrix.tileRows
        return first..<min(first + PackedMatrix.tileRows, rows)
    }

    /// The whole matrix in a format: where it lies in a file so, else packed on all threads, giving pages back behind
    /// itself.
    package func packed(as format: MatrixFormat, on compute: Compute) throws(ComputeError) -> PackedMatrix {
        if let stored, stored.format == format { return stored }
        // What a thread still read when its stretch was dropped goes at the end.
        defer { dropPages(rows: 0..<rows) }
        return try PackedMatrix.build(
            rows: rows, columns: columns, format: format, inputOrder: inputOrder(in: format), on: compute
        ) { tile, builder in
            if format == nativeFormat {
                storeNative(tile: tile, in: builder, on: compute)
            } else {
                storeDecoded(tile: tile, in: builder, on: compute)
            }
            dropPages(behindTile: tile)
        }
    }

    /// A matrix in memory as V; nil where it holds V rounded, or its inputs in an order of their own.
    /// - Parameter matrix: of these weights.
    func exact(in matrix: PackedMatrix?) -> ExactMatrix? {
        guard let matrix, matrix.inputOrder == nil, matrix.rows == rows, matrix.columns == columns else {
            return nil
        }
        if matrix.format == .f32 { return ExactMatrix(matrix: matrix, values: CodeValues()) }
        guard isExact(in: matrix.format) else { return nil }
        let values =
            fourBitValues.map { CodeValues(levels: $0.code.values, rounding: $0.rounding) }
            ?? CodeValues(rounding: codeRounding.rounding)
        return ExactMatrix(matrix: matrix, values: values)
    }

    /// The order of the inputs of a matrix stored in the format.
    func inputOrder(in format: MatrixFormat) -> InputOrder? { format == nativeFormat ? inputOrder : nil }

    /// Stores one tile of V, rounded to the builder's format.
    package func storeDecoded(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PackedMatrix.tileRows * columns) { block in
            guard let start = block.baseAddress else { return }
            decodeTile(tile, into: start, on: compute)
            builder.store(tile: tile, rows: start)
        }
    }

    /// V's rows of a tile, `[16, columns]`; rows beyond the matrix are zero.
    package func decodeTile(_ tile: Int, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let range = rowRange(ofTile: tile)
        decode(rows: range, into: out, on: compute)
        let padding = PackedMatrix.tileRows - range.count
        (out + range.count * columns).update(repeating: 0, count: padding * columns)
    }

    /// Calls `body` with V's rows of a tile: where they are, if a matrix holds them, else decoded for the call.
    func withTile<Result>(
        _ tile: Int, in matrix: ExactMatrix?, on compute: Compute, _ body: (ExactTile) -> Result
    ) -> Result {
        if let matrix { return body(matrix.tile(tile)) }
        let count = PackedMatrix.tileRows * columns
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: 2 * count)
        defer { memory.deallocate() }
        decodeTile(tile, into: memory, on: compute)
        return body(ExactTile(rows: memory, columns: columns, in: memory + count, on: compute))
    }

    /// Once a stretch of tiles is read, its pages are not needed again; a neighbour that another thread still reads is
    /// merely read twice.
    package func dropPages(behindTile tile: Int) {
        let stretch = 32
        let isLast = (tile + 1) * PackedMatrix.tileRows >= rows
        guard tile % stretch == stretch - 1 || isLast else { return }
        let first = tile / stretch * stretch * PackedMatrix.tileRows
        dropPages(rows: first..<min((tile + 1) * PackedMatrix.tileRows, rows))
    }
}
