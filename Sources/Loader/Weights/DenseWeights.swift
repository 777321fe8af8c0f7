package import DoraTensor
package import DoraText

/// A matrix of floats: V is the stored values, widened.
package struct DenseWeights: WeightSource {
    package let tensor: TensorView
    package let rows: Int
    package let columns: Int

    /// - Throws: `LoadError` `.mismatch` unless the tensor holds `[rows, columns]` floats.
    package init(_ tensor: TensorView, rows: Int, columns: Int) throws(LoadError) {
        guard tensor.shape == [rows, columns], tensor.elementType.isFloat else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: "floats [\(rows), \(columns)]",
                found: "\(tensor.elementType.rawValue) \(tensor.shape)",
                advice: "check that config.json belongs to these weights")
        }
        self.tensor = tensor
        self.rows = rows
        self.columns = columns
    }

    /// The narrowest format that holds every value of the element type.
    package var nativeFormat: MatrixFormat {
        switch tensor.elementType {
        case .f16: .f16
        case .bf16, .f8e4m3, .f8e5m2: .bf16
        case .f64, .f32, .i64, .i32, .i16, .i8, .u8, .bool: .f32
        }
    }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        decode(elements: rows.lowerBound * columns..<rows.upperBound * columns, into: out)
    }

    /// Elements of the flattened matrix.
    func decode(elements: Range<Int>, into out: UnsafeMutablePointer<Float>) {
        tensor.convert(elements, into: UnsafeMutableBufferPointer(start: out, count: elements.count))
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    package func dropPages(rows: Range<Int>) {
        tensor.dropPages(elements: rows.lowerBound * columns..<rows.upperBound * columns)
    }
}
