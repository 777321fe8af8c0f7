package import DoraTensor
import DoraText

/// Integer codes with a scale and a zero point for each group of a row's inputs, as GPTQ, AWQ and compressed-tensors hold
/// matrices: V = (code - zero) * scale, rounded to the type of the scales, because the libraries multiply in it. The
/// kernels compute with what is not rounded; where they have no format for the codes they become Q8.
package struct GroupedWeights: CodedWeights {
    enum Zeros: Sendable {
        /// The same everywhere.
        case constant(UInt8)
        /// `[rows, groups]`, or wider.
        case packed(PackedIntegers)
    }

    package let rows: Int
    package let columns: Int
    private let codes: PackedIntegers
    private let scales: GroupScales
    private let zeros: Zeros
    private let groups: InputGroups
    private let storage: GroupStorage?

    /// - Throws: `LoadError` `.mismatch` when the groups are not those that there are scales for.
    init(
        codes: PackedIntegers, scales: GroupScales, zeros: Zeros, groups: InputGroups,
        in tensors: ModuleTensors
    ) throws(LoadError) {
        guard groups.count(columns: codes.columns, limit: scales.groups) == scales.groups else {
            throw LoadError(
                .mismatch, file: tensors.checkpoint.folder, field: tensors.module,
                "its \(codes.columns) inputs do not make the \(scales.groups) groups that there are scales for",
                advice: "check group_size of quantization_config")
        }
        rows = codes.rows
        columns = codes.columns
        self.codes = codes
        self.scales = scales
        self.zeros = zeros
        self.groups = groups
        storage = GroupStorage(
            bits: codes.bits, columns: codes.columns, groups: groups, zeros: zeros, scales: scales)
    }

    package var nativeFormat: MatrixFormat { storage?.format ?? .q8 }
    package var inputOrder: InputOrder? { storage?.order }
    package var codeRounding: ElementType { scales.elementType }

    package func isExact(in format: MatrixFormat) -> Bool { format == .f32 || format == storage?.format }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let count = rows.count * columns
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { memory in
            guard let codes = memory.baseAddress else { return }
            self.codes.read(rows: rows, into: codes)
            withGroups(of: rows) { scales, zeros in
                for row in 0..<rows.count {
                    let first = row * self.scales.groups
                    decodeRow(codes + row * columns, scales + first, zeros + first, into: out + row * columns)
                }
            }
        }
        codeRounding.round(out, count: count, on: compute)
    }

    private func decodeRow(
        _ codes: UnsafePointer<UInt8>, _ scales: UnsafePointer<Float>, _ zeros: UnsafePointer<UInt8>,
        into out: UnsafeMutablePointer<Float>
    ) {
        switch groups {
        case .neighbours(let size):
            for group in 0..<self.scales.groups {
                let (scale, zero) = (scales[group], Int32(zeros[group]))
                for column in group * size..<min((group + 1) * size, columns) {
                    out[column] = Float(Int32(codes[column]) - zero) * scale
                }
            }
        case .listed(let list):
            list.withUnsafeBufferPointer { list in
                for column in 0..<columns {
                    let group = Int(list[column])
                    out[column] = Float(Int32(codes[column]) - Int32(zeros[group])) * scales[group]
                }
            }
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        if storage == nil {
            storeDecoded(tile: tile, in: builder, on: compute)
        } else {
            storeCodes(tile: tile, in: builder)
        }
    }

    func readCodes(
        rows: Range<Int>, into codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutableRawPointer
    ) {
        guard let storage else { return }
        self.codes.read(rows: rows, into: codes)
        storage.arrange(codes, rows: rows.count, columns: columns)
        let scaleBytes = storage.format.scaleBytes(columns: columns)
        withGroups(of: rows) { values, zeros in
            for row in 0..<rows.count {
                let first = row * self.scales.groups
                storage.writeRecords(
                    scales: values + first, zeros: zeros + first, columns: columns,
                    into: scales + row * scaleBytes)
            }
        }
    }

    /// Calls `body` with scales and zero points, `[rows.count, groups]`.
    private func withGroups(
        of rows: Range<Int>, _ body: (UnsafePointer<Float>, UnsafePointer<UInt8>) -> Void
    ) {
        let count = rows.count * scales.groups
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { values in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { zeros in
                guard let values = values.baseAddress, let zeros = zeros.baseAddress else { return }
                scales.read(rows: rows, into: values)
                readZeros(rows: rows, into: zeros)
                body(values, zeros)
            }
        }
    }

    private func readZeros(rows: Range<Int>, into out: UnsafeMutablePointer<UInt8>) {
        let groups = scales.groups
        switch zeros {
        case .constant(let zero): out.update(repeating: zero, count: rows.count * groups)
        case .packed(let packed) where packed.columns == groups: packed.read(rows: rows, into: out)
        case .packed(let packed):
            // What is behind the last group means nothing.
            let width = packed.columns
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rows.count * width) { wide in
                guard let wide = wide.baseAddress else { return }
                packed.read(rows: rows, into: wide)
                for row in 0..<rows.count {
                    (out + row * groups).update(from: wide + row * width, count: groups)
                }
            }
        }
    }

    /// Rows of a transposed matrix are spread over all its pages, which go behind the last.
    package func dropPages(rows: Range<Int>) {
        guard rows.upperBound == self.rows else { return }
        codes.dropPages()
        scales.dropPages()
        if case .packed(let zeros) = zeros { zeros.dropPages() }
    }
}
