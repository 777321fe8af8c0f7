package import DoraTensor
package import DoraText

/// A matrix of floats: V is the stored values, widened.
package struct DenseWeights: WeightSource {
    package let tensor: TensorView
    package let rows: Int
    package let columns: Int
    private let order: RowOrder

    /// - Throws: `LoadError` `.mismatch` unless the tensor holds `[rows, columns]` floats.
    package init(
        _ tensor: TensorView, rows: Int, columns: Int, order: RowOrder = .asStored
    ) throws(LoadError) {
        guard tensor.shape == [rows, columns], tensor.elementType.isFloat else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: "floats [\(rows), \(columns)]",
                found: "\(tensor.elementType.rawValue) \(tensor.shape)",
                advice: "check that config.json belongs to these weights")
        }
        self.tensor = tensor
        self.rows = rows
        self.columns = columns
        self.order = order
    }

    /// The narrowest format that holds every value of the element type.
    package var nativeFormat: MatrixFormat {
        switch tensor.elementType {
        case .f16: .f16
        case .bf16, .f8e4m3, .f8e5m2, .f8e8m0: .bf16
        case .f64, .f32, .i64, .i32, .i16, .i8, .u8, .bool: .f32
        }
    }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        decode(elements: rows.lowerBound * columns..<rows.upperBound * columns, into: out)
    }

    /// Elements of the flattened matrix.
    func decode(elements: Range<Int>, into out: UnsafeMutablePointer<Float>) {
        guard order != .asStored else {
            tensor.convert(elements, into: UnsafeMutableBufferPointer(start: out, count: elements.count))
            return
        }
        var start = elements.lowerBound
        while start < elements.upperBound {
            let (row, column) = start.quotientAndRemainder(dividingBy: columns)
            let count = min(columns - column, elements.upperBound - start)
            let stored = order.storedRow(of: row) * columns + column
            tensor.convert(
                stored..<stored + count,
                into: UnsafeMutableBufferPointer(start: out + (start - elements.lowerBound), count: count))
            start += count
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    package func dropPages(rows: Range<Int>) {
        tensor.dropPages(elements: rows.lowerBound * columns..<rows.upperBound * columns)
    }
}
