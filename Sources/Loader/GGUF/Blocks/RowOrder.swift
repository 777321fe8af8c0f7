/// Which row of a tensor in a file is which row of the same matrix in transformers.
package enum RowOrder: Equatable, Sendable {
    case asStored
    /// llama.cpp rotates neighbours where transformers rotates the halves of a head: of each head's rows, those of pair i
    /// stand at 2i and 2i + 1, not at i and i + headSize / 2.
    case interleaved(headSize: Int)

    func storedRow(of row: Int) -> Int {
        guard case .interleaved(let size) = self else { return row }
        let (head, within) = row.quotientAndRemainder(dividingBy: size)
        let (half, pair) = within.quotientAndRemainder(dividingBy: size / 2)
        return head * size + 2 * pair + half
    }
}

extension RowOrder {
    /// The bytes of rows of equal length, in transformers' order.
    func reordered(_ bytes: UnsafeRawBufferPointer, rows: Int) -> [UInt8] {
        let length = rows == 0 ? 0 : bytes.count / rows
        return (0..<rows).flatMap { row in
            let start = storedRow(of: row) * length
            return bytes[start..<start + length]
        }
    }
}
