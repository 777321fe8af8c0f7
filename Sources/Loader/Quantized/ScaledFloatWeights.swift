package import DoraTensor
import DoraText

/// Floats of 8 bits with a scale for each block of the matrix: V = weight * scale in F32, rounded to 16 bits where the
/// library multiplies in those.
package struct ScaledFloatWeights: WeightSource {
    /// Rows and columns that share a scale.
    struct Block: Equatable, Sendable {
        let rows: Int
        let columns: Int
    }

    package let rows: Int
    package let columns: Int
    private let weight: TensorView
    private let block: Block
    private let scales: [Float]
    private let scalesPerRow: Int
    private let rounding: ElementType

    /// - Parameters:
    ///   - weight: F8_E4M3 or F8_E5M2 `[rows, columns]`.
    ///   - scales: one for each block, row by row; those at the edges may be partial.
    ///   - rounding: F16 or BF16; others round nothing.
    /// - Throws: `LoadError` `.mismatch` when types or shapes do not fit.
    init(
        _ weight: TensorView, scales: TensorView, block: Block, rounding: ElementType = .f32,
        in tensors: ModuleTensors
    ) throws(LoadError) {
        guard [.f8e4m3, .f8e5m2].contains(weight.elementType),
            weight.shape == [tensors.rows, tensors.columns]
        else {
            throw LoadError(
                .mismatch, file: weight.file, field: weight.name,
                expected: "F8_E4M3 [\(tensors.rows), \(tensors.columns)]",
                found: "\(weight.elementType.rawValue) \(TensorShape.describe(weight.shape))",
                advice: "check that config.json belongs to these weights")
        }
        let grid = [
            tensors.rows.roundedUp(to: block.rows) / block.rows,
            tensors.columns.roundedUp(to: block.columns) / block.columns,
        ]
        let isList = scales.count == grid[0] * grid[1] && scales.shape.count < 2 && grid.contains(1)
        guard scales.shape == grid || isList else {
            throw LoadError(
                .mismatch, file: scales.file, field: scales.name,
                expected: "a scale for each block of \(block.rows) by \(block.columns), "
                    + TensorShape.describe(grid),
                found: TensorShape.describe(scales.shape), advice: "check the configuration's block size")
        }
        rows = tensors.rows
        columns = tensors.columns
        self.weight = weight
        self.block = block
        self.scales = try Self.numbers(scales)
        scalesPerRow = grid[1]
        self.rounding = rounding
    }

    /// Bytes are exponents of two, as in E8M0.
    private static func numbers(_ scales: TensorView) throws(LoadError) -> [Float] {
        guard scales.elementType == .u8 else { return try scales.floats() }
        return try TensorView(
            name: scales.name, file: scales.file, elementType: .f8e8m0, shape: scales.shape,
            bytes: scales.withBytes { [UInt8]($0) }
        ).floats()
    }

    package var nativeFormat: MatrixFormat { .q8 }

    package func isExact(in format: MatrixFormat) -> Bool { format == .f32 }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let count = rows.count * columns
        weight.convert(
            rows.lowerBound * columns..<rows.upperBound * columns,
            into: UnsafeMutableBufferPointer(start: out, count: count))
        for row in rows {
            let target = out + (row - rows.lowerBound) * columns
            let firstScale = row / block.rows * scalesPerRow
            for part in 0..<scalesPerRow {
                let scale = scales[firstScale + part]
                for column in part * block.columns..<min((part + 1) * block.columns, columns) {
                    target[column] *= scale
                }
            }
        }
        rounding.round(out, count: count, on: compute)
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    package func dropPages(rows: Range<Int>) {
        weight.dropPages(elements: rows.lowerBound * columns..<rows.upperBound * columns)
    }
}
