package import DoraTensor
import DoraText

/// A matrix in the blocks of a GGUF file: V is what gguf-py's `dequantize` makes of them. Where the kernels have no format
/// for their codes they become Q8.
package struct BlockWeights: CodedWeights {
    let blocks: StoredBlocks
    package let rows: Int
    package let columns: Int

    /// - Throws: `LoadError` `.mismatch` unless the tensor holds `[rows, columns]` weights.
    init(_ blocks: StoredBlocks, rows: Int, columns: Int) throws(LoadError) {
        let format = blocks.format
        guard columns.isMultiple(of: format.length),
            blocks.tensor.shape == [rows, format.byteCount(ofRow: columns)]
        else {
            let found = blocks.tensor.shape
            let width = (found.last ?? 0) / format.byteCount * format.length
            throw LoadError(
                .mismatch, file: blocks.tensor.file, field: blocks.tensor.name,
                expected: "\(format.name) [\(rows), \(columns)]",
                found: "\(format.name) \(TensorShape.describe(found.dropLast() + [width]))",
                advice: "check that the metadata belong to these weights")
        }
        self.blocks = blocks
        self.rows = rows
        self.columns = columns
    }

    package var nativeFormat: MatrixFormat { blocks.format.codes?.format ?? .q8 }

    package func isExact(in format: MatrixFormat) -> Bool {
        format == .f32 || format == blocks.format.codes?.format
    }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let format = blocks.format
        blocks.tensor.withBytes { bytes in
            guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            for row in rows {
                let source = start + blocks.order.storedRow(of: row) * rowBytes
                let target = out + (row - rows.lowerBound) * columns
                for block in 0..<columns / format.length {
                    format.decode(source + block * format.byteCount, target + block * format.length)
                }
            }
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        if blocks.format.codes != nil {
            storeCodes(tile: tile, in: builder)
        } else {
            storeDecoded(tile: tile, in: builder, on: compute)
        }
    }

    func readCodes(
        rows: Range<Int>, into codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutableRawPointer
    ) {
        guard let stored = blocks.format.codes else { return }
        let scaleBytes = stored.format.scaleBytes(columns: columns)
        blocks.tensor.withBytes { bytes in
            guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            for row in rows {
                let target = row - rows.lowerBound
                stored.read(
                    start + blocks.order.storedRow(of: row) * rowBytes, columns / blocks.format.length,
                    codes + target * columns, scales + target * scaleBytes)
            }
        }
    }

    package func dropPages(rows: Range<Int>) {
        blocks.tensor.dropPages(elements: rows.lowerBound * rowBytes..<rows.upperBound * rowBytes)
    }

    private var rowBytes: Int { blocks.format.byteCount(ofRow: columns) }
}

/// The bytes of a matrix in blocks.
struct StoredBlocks: Sendable {
    /// U8 `[rows, bytes of a row]`.
    let tensor: TensorView
    let format: BlockFormat
    let order: RowOrder

    /// The same bytes with the rows in transformers' order.
    func inOrder() throws(LoadError) -> TensorView {
        if order == .asStored { return tensor }
        return try TensorView(
            name: tensor.name, file: tensor.file, elementType: .u8, shape: tensor.shape,
            bytes: tensor.withBytes { order.reordered($0, rows: tensor.shape.first ?? 0) })
    }
}
