package import DoraTensor

/// A checkpoint's codes of four bits, and for each group of a row's inputs a scale and a zero point, wherever they lie.
package protocol AffineCodes: Sendable {
    /// `[rows.count, columns]`, each at most 15.
    func readCodes(rows: Range<Int>, into out: UnsafeMutablePointer<UInt8>)
    /// Scales and zero points, `[rows.count, groups]`.
    func readGroups(
        rows: Range<Int>, scales: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<UInt8>)
    /// Says that the rows will not be read soon.
    func dropPages(rows: Range<Int>)
}

/// V = (code - zero) * scale, rounded to the type that the library computes in (GPTQ, AWQ and compressed-tensors: that of
/// the scales). The kernels compute with what is not rounded.
package struct AffineWeights: CodedWeights {
    package let rows: Int
    package let columns: Int
    private let codes: any AffineCodes
    private let group: Int
    private let scaling: AffineScaling
    package let codeRounding: ElementType

    /// - Parameters:
    ///   - group: inputs that share a scale; the row's last group may have fewer.
    ///   - scaleType: of the scales in the checkpoint: where it is F16, half the bytes keep them.
    ///   - isSymmetric: whether every zero point is 8.
    ///   - rounding: what V is rounded to: F32, F16 or BF16.
    /// - Returns: nil where the kernels have no such groups: unless 32 divides the group, or it is a whole row's.
    package init?(
        _ codes: any AffineCodes, rows: Int, columns: Int, group: Int, scaleType: ElementType,
        isSymmetric: Bool,
        roundedTo rounding: ElementType
    ) {
        let isWhole = group >= columns
        guard group > 0,
            let width = AffineScaling.groups.last(where: { isWhole || group.isMultiple(of: $0) }),
            let scaling = AffineScaling(isSymmetric && scaleType == .f16 ? .scales : .points, group: width)
        else { return nil }
        self.codes = codes
        self.rows = rows
        self.columns = columns
        self.group = group
        self.scaling = scaling
        codeRounding = rounding
    }

    package var nativeFormat: MatrixFormat { .affine(scaling) }

    private var groupCount: Int { (columns + group - 1) / group }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let count = rows.count * columns
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { memory in
            guard let read = memory.baseAddress else { return }
            codes.readCodes(rows: rows, into: read)
            withGroups(of: rows) { scales, zeros in
                for row in 0..<rows.count {
                    for index in 0..<groupCount {
                        let at = row * groupCount + index
                        let (scale, zero) = (scales[at], Int(zeros[at]))
                        for column in index * group..<min((index + 1) * group, columns) {
                            let place = row * columns + column
                            out[place] = Float(Int(read[place]) - zero) * scale
                        }
                    }
                }
            }
        }
        codeRounding.round(out, count: count, on: compute)
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeCodes(tile: tile, in: builder)
    }

    func readCodes(
        rows: Range<Int>, into codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutableRawPointer
    ) {
        self.codes.readCodes(rows: rows, into: codes)
        let recordCount = scaling.recordCount(columns: columns)
        withGroups(of: rows) { values, zeros in
            for row in 0..<rows.count {
                for index in 0..<recordCount where index * scaling.group < columns {
                    let from = row * groupCount + index * scaling.group / group
                    let record = scales + (row * recordCount + index) * scaling.recordBytes
                    if scaling.record == .scales {
                        record.storeBytes(of: Float16(values[from]), as: Float16.self)
                    } else {
                        record.storeBytes(of: values[from], as: Float.self)
                        record.storeBytes(of: zeros[from], toByteOffset: 4, as: UInt8.self)
                    }
                }
            }
        }
    }

    package func dropPages(rows: Range<Int>) { codes.dropPages(rows: rows) }

    private func withGroups(
        of rows: Range<Int>, _ body: (_ scales: [Float], _ zeros: [UInt8]) -> Void
    ) {
        var scales = [Float](repeating: 0, count: rows.count * groupCount)
        var zeros = [UInt8](repeating: 0, count: rows.count * groupCount)
        codes.readGroups(rows: rows, scales: &scales, zeros: &zeros)
        body(scales, zeros)
    }
}

extension ElementType {
    /// Rounds to F16 or BF16; other types leave F32 as it is.
    func round(_ values: UnsafeMutablePointer<Float>, count: Int, on compute: Compute) {
        switch self {
        case .f16: compute.roundToHalf(values, count: count)
        case .bf16: for index in 0..<count { values[index] = values[index].roundedToBrain }
        default: break
        }
    }
}
