import DoraTensor
import DoraText

/// A matrix `[rows, columns]` of small unsigned integers, several to a word or one to a byte, in one of the orders that
/// checkpoints have.
struct PackedIntegers: Sendable {
    /// How neighbours share words, and how the words lie.
    struct Layout: Sendable {
        enum Axis: Sendable { case rows, columns }

        let bits: Int
        /// Whose neighbours share a word.
        let axis: Axis
        /// Whether the words lie as `[columns, rows]`.
        var isTransposed = false
        /// The place within its word, from the lowest bits, of each of the integers that share one; nil in their own order.
        var order: [Int]?
        /// Added to each word, with carry, before it is taken apart.
        var addend: UInt32 = 0
        /// Whether signed bytes may stand for integers of 8 bits.
        var allowsBytes = false
    }

    let rows: Int
    let columns: Int
    let bits: Int
    private let tensor: TensorView
    private let axis: Layout.Axis
    private let shifts: [UInt32]
    private let mask: UInt32
    private let addend: UInt32
    /// Signed bytes become unsigned ones, 128 higher.
    private let flip: UInt8
    private let rowStride: Int
    private let columnStride: Int

    /// - Parameters:
    ///   - tensor: I32 words, or bytes where the layout allows them.
    ///   - advice: what to do about a tensor that does not fit.
    /// - Throws: `LoadError` `.mismatch` unless it has the type and shape that the layout needs.
    init(
        _ tensor: TensorView, rows: Int, columns: Int, layout: Layout, advice: String
    ) throws(LoadError) {
        let isBytes = layout.allowsBytes && tensor.elementType == .i8 && layout.bits == 8
        let perWord = isBytes ? 1 : 32 / layout.bits
        func words(_ count: Int) -> Int { count.roundedUp(to: perWord) / perWord }
        let wordRows = layout.axis == .rows ? words(rows) : rows
        let wordColumns = layout.axis == .columns ? words(columns) : columns
        let shape = layout.isTransposed ? [wordColumns, wordRows] : [wordRows, wordColumns]
        guard isBytes || tensor.elementType == .i32, tensor.shape == shape else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                expected: "\(isBytes ? "I8" : "I32") \(TensorShape.describe(shape))",
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))", advice: advice)
        }
        self.tensor = tensor
        self.rows = rows
        self.columns = columns
        bits = layout.bits
        axis = layout.axis
        let order = layout.order ?? Array(0..<perWord)
        shifts = order.map { UInt32($0 * layout.bits) }
        mask = (1 << UInt32(layout.bits)) - 1
        addend = layout.addend
        flip = isBytes ? 0x80 : 0
        rowStride = layout.isTransposed ? 1 : wordColumns
        columnStride = layout.isTransposed ? wordRows : 1
    }

    /// The integers of some rows, `[rows.count, columns]`.
    func read(rows: Range<Int>, into out: UnsafeMutablePointer<UInt8>) {
        tensor.withBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            if tensor.elementType == .i8 {
                for row in rows { readBytes(start, row, into: out + (row - rows.lowerBound) * columns) }
                return
            }
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rows.count * Self.stretch) { tile in
                guard let tile = tile.baseAddress else { return }
                for first in Swift.stride(from: 0, to: columns, by: Self.stretch) {
                    let stretch = first..<min(first + Self.stretch, columns)
                    switch axis {
                    case .columns: readAlongColumns(start, rows, stretch, into: tile)
                    case .rows: readAlongRows(start, rows, stretch, into: tile)
                    }
                    transpose(tile, rows: rows.count, columns: stretch.count, into: out + first)
                }
            }
        }
    }

    /// Columns that are read at a time, a multiple of what shares a word: whatever the order of the file, they are put into
    /// a small tile first, because rows of `out` are a power of two apart more often than not, and crowd each other out
    /// of the cache.
    private static let stretch = 64

    /// From `[columns, rows]` to rows that lie apart.
    private func transpose(
        _ tile: UnsafePointer<UInt8>, rows: Int, columns: Int, into out: UnsafeMutablePointer<UInt8>
    ) {
        for row in 0..<rows {
            let target = out + row * self.columns
            for column in 0..<columns { target[column] = tile[column * rows + row] }
        }
    }

    func dropPages() { tensor.dropPages() }

    private func word(_ start: UnsafeRawPointer, _ index: Int) -> UInt32 {
        UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)) &+ addend
    }

    private func readBytes(_ start: UnsafeRawPointer, _ row: Int, into out: UnsafeMutablePointer<UInt8>) {
        for column in 0..<columns {
            let offset = row * rowStride + column * columnStride
            out[column] = start.load(fromByteOffset: offset, as: UInt8.self) ^ flip
        }
    }

    private func readAlongColumns(
        _ start: UnsafeRawPointer, _ rows: Range<Int>, _ stretch: Range<Int>,
        into tile: UnsafeMutablePointer<UInt8>
    ) {
        let perWord = shifts.count
        for first in Swift.stride(from: stretch.lowerBound, to: stretch.upperBound, by: perWord) {
            let count = min(perWord, stretch.upperBound - first)
            let target = tile + (first - stretch.lowerBound) * rows.count
            let offset = rows.lowerBound * rowStride + first / perWord * columnStride
            for row in 0..<rows.count {
                let value = word(start, offset + row * rowStride)
                for place in 0..<count {
                    target[place * rows.count + row] = UInt8(
                        truncatingIfNeeded: value >> shifts[place] & mask)
                }
            }
        }
    }

    private func readAlongRows(
        _ start: UnsafeRawPointer, _ rows: Range<Int>, _ stretch: Range<Int>,
        into tile: UnsafeMutablePointer<UInt8>
    ) {
        let places = rows.map { row in
            (word: row / shifts.count * rowStride, shift: shifts[row % shifts.count])
        }
        for column in stretch {
            let target = tile + (column - stretch.lowerBound) * rows.count
            for (index, place) in places.enumerated() {
                let value = word(start, place.word + column * columnStride)
                target[index] = UInt8(truncatingIfNeeded: value >> place.shift & mask)
            }
        }
    }
}
