import CKernels

/// Bytes that do not move or change, and what keeps them there: memory, or a mapped file.
package struct SharedBytes: Sendable {
    // Unsafe only in the eyes of the compiler: nobody writes to what is shared, and the owner, which lives as long as
    // this value, keeps it where it is.
    package nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    private let owner: (any AnyObject & Sendable)?

    package init(_ bytes: UnsafeRawBufferPointer, of owner: (any AnyObject & Sendable)?) {
        self.bytes = bytes
        self.owner = owner
    }

    package static let none = SharedBytes(UnsafeRawBufferPointer(start: nil, count: 0), of: nil)

    init(_ memory: AlignedMemory) {
        self.init(UnsafeRawBufferPointer(start: memory.pointer, count: memory.byteCount), of: memory)
    }
}

/// A weight matrix `[rows, columns]` in the layout that the kernels stream; immutable once built, so an adapted model
/// can share it with the base. Two matrices are the same only if they are the same object.
///
/// `@unchecked Sendable`: memory is written only through `Draft` and its `Builder`, and only until the matrix is
/// complete; no one else has it before. A matrix in a mapped file has neither.
package final class PackedMatrix: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    package let format: MatrixFormat
    /// The order of the inputs within the tiles; nil for the model's.
    package let inputOrder: InputOrder?
    /// Whether the matrix lies in a file, whose pages other processes share.
    package let isMapped: Bool
    private let codes: SharedBytes
    private let scales: SharedBytes
    /// What all tiles share: the map and the group maxima of nested scales.
    private let tables: AlignedMemory
    let view: dk_matrix

    /// Output rows of one tile, the unit of packing, merging and multiplying.
    package static let tileRows = DK_ROWS

    package var tileCount: Int { rows.roundedUp(to: Self.tileRows) / Self.tileRows }
    package var byteCount: Int { codes.bytes.count + scales.bytes.count + tables.byteCount }

    private convenience init(
        rows: Int, columns: Int, format: MatrixFormat, inputOrder: InputOrder?, in heap: Heap
    ) throws(ComputeError) {
        let codes = try heap.allocateUnwritten(
            byteCount: format.codes(rows: rows, columns: columns).byteCount)
        let scales = try heap.allocateUnwritten(
            byteCount: format.scales(rows: rows, columns: columns).byteCount)
        try self.init(
            rows: rows, columns: columns, format: format, inputOrder: inputOrder, codes: SharedBytes(codes),
            scales: SharedBytes(scales), isMapped: false)
    }

    /// A matrix whose codes and scales lie in a file, laid out as `format` says.
    /// - Precondition: they have the bytes of `format.codes` and `format.scales`.
    package convenience init(
        rows: Int, columns: Int, format: MatrixFormat, inputOrder: InputOrder? = nil,
        mappedCodes: SharedBytes, scales: SharedBytes
    ) throws(ComputeError) {
        precondition(mappedCodes.bytes.count == format.codes(rows: rows, columns: columns).byteCount)
        precondition(scales.bytes.count == format.scales(rows: rows, columns: columns).byteCount)
        try self.init(
            rows: rows, columns: columns, format: format, inputOrder: inputOrder, codes: mappedCodes,
            scales: scales, isMapped: true)
    }

    private init(
        rows: Int, columns: Int, format: MatrixFormat, inputOrder: InputOrder?, codes: SharedBytes,
        scales: SharedBytes, isMapped: Bool
    ) throws(ComputeError) {
        precondition(inputOrder.map { $0.inputs.count == columns } ?? true)
        self.rows = rows
        self.columns = columns
        self.format = format
        self.inputOrder = inputOrder
        self.isMapped = isMapped
        self.codes = codes
        self.scales = scales
        var view = dk_matrix()
        view.format = format.kernelFormat
        view.rows = Int64(rows)
        view.padded_columns = Int64(format.paddedColumns(columns))
        view.codes = codes.bytes.baseAddress
        view.scales = scales.bytes.baseAddress
        tables = try AlignedMemory(byteCount: format.tableBytes(rows: rows, columns: columns))
        switch format {
        case .q8Row: view.unit = MatrixFormat.q8RowUnit
        case .q4(let codebook): Self.describe(codebook, in: &view)
        case .q4Nested(let codebook, let nesting):
            Self.describe(codebook, in: &view)
            Self.describe(nesting, in: &view, tables: tables)
        case .affine(let scaling): Self.describe(scaling, in: &view)
        case .f32, .f16, .bf16, .q8, .q8_0, .q6_K: break
        }
        self.view = view
    }

    private static func describe(_ codebook: Codebook, in view: inout dk_matrix) {
        withUnsafeMutableBytes(of: &view.codebook) { $0.copyBytes(from: codebook.bytes.prefix(16)) }
        view.unit = codebook.unit
        view.zero = codebook.zero
    }

    private static func describe(_ scaling: AffineScaling, in view: inout dk_matrix) {
        view.scaling = scaling.kernelScaling
        view.group_shift = Int32(scaling.group.trailingZeroBitCount)
        view.zero = AffineScaling.zero
    }

    private static func describe(
        _ nesting: ScaleNesting, in view: inout dk_matrix, tables: AlignedMemory
    ) {
        let map = tables.pointer.assumingMemoryBound(to: Float.self)
        let groups = map + nesting.map.count
        map.update(from: nesting.map, count: nesting.map.count)
        groups.update(from: nesting.groupMaxima, count: nesting.groupMaxima.count)
        view.map = UnsafePointer(map)
        view.groups = UnsafePointer(groups)
        view.offset = nesting.offset
        view.group_shift = Int32(nesting.groupShift)
    }

    /// Fills a new matrix tile by tile, on all threads. `fill` is called once for each tile and must store it.
    package static func build(
        rows: Int, columns: Int, format: MatrixFormat, inputOrder: InputOrder? = nil, on compute: Compute,
        fill: (_ tile: Int, _ builder: Builder) -> Void
    ) throws(ComputeError) -> PackedMatrix {
        var draft = try Draft(
            rows: rows, columns: columns, format: format, inputOrder: inputOrder, on: compute)
        draft.fill(atMost: .max, on: compute, fill)
        return draft.matrix
    }

    /// A matrix under construction: tiles are filled in order, as many at a time as there is time for.
    package struct Draft {
        /// To be handed on only once `isComplete`.
        package let matrix: PackedMatrix
        private let builder: Builder
        private var filled = 0

        package init(
            rows: Int, columns: Int, format: MatrixFormat, inputOrder: InputOrder? = nil, on compute: Compute
        ) throws(ComputeError) {
            matrix = try PackedMatrix(
                rows: rows, columns: columns, format: format, inputOrder: inputOrder, in: compute.heap)
            builder = Builder(matrix: matrix, kernels: compute.kernels)
        }

        package var isComplete: Bool { filled == matrix.tileCount }

        /// Fills the next tiles, on all threads. `fill` is called once for each and must store it.
        /// - Returns: the tiles.
        @discardableResult package mutating func fill(
            atMost count: Int, on compute: Compute, _ fill: (_ tile: Int, _ builder: Builder) -> Void
        ) -> Range<Int> {
            let tiles = filled..<filled + min(count, matrix.tileCount - filled)
            compute.parallel(tiles.count) { fill(tiles.lowerBound + $0, builder) }
            filled = tiles.upperBound
            return tiles
        }
    }

    /// The rows of a tile that exist; the rest of a last tile is padding.
    package func rowRange(ofTile tile: Int) -> Range<Int> {
        tile * Self.tileRows..<min((tile + 1) * Self.tileRows, rows)
    }

    /// Decodes a tile into `out`, `[16, columns]`, the inputs in the model's order.
    package func unpack(tile: Int, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        withUnsafePointer(to: view) { compute.kernels.pointee.unpack($0, Int64(tile), out, Int64(columns)) }
        inputOrder?.restore(out, count: Self.tileRows)
    }

    /// The inverse of `Builder.store(tile:codes:scales:)`, of the formats that it takes.
    package func unpackCodes(
        tile: Int, codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutableRawPointer, on compute: Compute
    ) {
        withUnsafePointer(to: view) {
            compute.kernels.pointee.unpack_codes($0, Int64(tile), codes, scales, Int64(columns))
        }
    }

    /// Calls `body` with the codes and the scales as they lie in memory, laid out as `format` says.
    package func withArrays<Result>(
        _ body: (_ codes: UnsafeRawBufferPointer, _ scales: UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try withExtendedLifetime(self) { try body(codes.bytes, scales.bytes) }
    }

    /// Writes tiles of a matrix under construction.
    package struct Builder {
        fileprivate let matrix: PackedMatrix
        fileprivate let kernels: UnsafePointer<dk_kernels>

        package var format: MatrixFormat { matrix.format }

        /// Stores 16 rows of floats `[16, columns]` (padding rows zero), rounded to the format.
        /// - Precondition: the format takes floats.
        package func store(tile: Int, rows: UnsafePointer<Float>) {
            precondition(format.takesFloats)
            withUnsafePointer(to: matrix.view) {
                kernels.pointee.pack($0, Int64(tile), rows, Int64(matrix.columns))
            }
        }

        /// Stores 16 rows of codes `[16, columns]`, their inputs in the matrix's order, unchanged: int8 with the rows' largest magnitudes, F32 `[16]`, or
        /// with F16 scales `[16, paddedColumns / 32]` or `/ 64`; codebook indices with the blocks' largest magnitudes,
        /// `[16, paddedColumns / 64]`, F32 or, nested, their 8-bit codes; or numbers up to 15 or 63 with `[16, records]`.
        package func store(tile: Int, codes: UnsafePointer<UInt8>, scales: UnsafeRawPointer) {
            withUnsafePointer(to: matrix.view) {
                kernels.pointee.pack_codes($0, Int64(tile), codes, scales, Int64(matrix.columns))
            }
        }

        /// Stores 16 rows, each times its factor.
        /// - Parameters:
        ///   - rows: `[columns rounded up to 64, 16]`, of which only the first `columns` are read; the scaled rows take
        ///     their place.
        ///   - factors: `[16]`
        ///   - before: what they were before the change.
        /// - Precondition: the format takes floats.
        /// - Returns: how much of the change survives storing.
        package func store(
            tile: Int, rows: UnsafeMutablePointer<Float>, factors: [Float], changedFrom before: ExactTile
        ) -> StoredChange {
            precondition(format.takesFloats && factors.count == PackedMatrix.tileRows)
            precondition(before.columns == matrix.columns && matrix.inputOrder == nil)
            var change = StoredChange.none
            withUnsafePointer(to: matrix.view) { view in
                before.withPointers {
                    kernels.pointee.pack_changed(
                        view, Int64(tile), $0, $1, Int64(before.index), rows, factors, Int64(matrix.columns),
                        &change.sums)
                }
            }
            return change
        }
    }
}
