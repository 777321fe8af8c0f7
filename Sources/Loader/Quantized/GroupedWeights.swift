package import DoraTensor
import DoraText

/// Integer codes with a scale and a zero point for each group of a row's inputs, as GPTQ, AWQ and compressed-tensors hold
/// matrices: V = (code - zero) * scale, rounded to the type of the scales, because the libraries multiply in it.
package struct GroupedWeights: WeightSource {
    /// Which inputs share a scale.
    enum Groups: Sendable {
        /// As many neighbours.
        case neighbours(Int)
        /// The group of each input: GPTQ's `g_idx`, where inputs were quantized in the order of their activations.
        case listed([Int32])
    }

    enum Zeros: Sendable {
        /// The same everywhere.
        case constant(UInt8)
        /// `[rows, groups]`, or wider.
        case packed(PackedIntegers)
    }

    package let rows: Int
    package let columns: Int
    let codes: PackedIntegers
    let scales: GroupScales
    let zeros: Zeros
    let groups: Groups

    /// - Throws: `LoadError` `.mismatch` when the groups are not those that there are scales for.
    init(
        codes: PackedIntegers, scales: GroupScales, zeros: Zeros, groups: Groups, in tensors: ModuleTensors
    ) throws(LoadError) {
        let count: Int
        switch groups {
        case .neighbours(let size): count = size > 0 ? codes.columns.roundedUp(to: size) / size : 0
        case .listed(let list):
            let isInRange = list.allSatisfy { $0 >= 0 && Int($0) < scales.groups }
            count = list.count == codes.columns && isInRange ? scales.groups : 0
        }
        guard count == scales.groups else {
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
    }

    package var nativeFormat: MatrixFormat { .q8 }

    package func isExact(in format: MatrixFormat) -> Bool { format == .f32 }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let (codeCount, groupCount) = (rows.count * columns, rows.count * scales.groups)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: codeCount + groupCount) { bytes in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: groupCount) { floats in
                guard let codes = bytes.baseAddress, let scales = floats.baseAddress else { return }
                let zeros = codes + codeCount
                readCodes(rows: rows, into: codes)
                readGroups(rows: rows, scales: scales, zeros: zeros)
                for row in 0..<rows.count {
                    let first = row * self.scales.groups
                    decodeRow(codes + row * columns, scales + first, zeros + first, into: out + row * columns)
                }
            }
        }
        scales.elementType.round(out, count: codeCount, on: compute)
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

    /// `[rows.count, columns]`
    package func readCodes(rows: Range<Int>, into out: UnsafeMutablePointer<UInt8>) {
        codes.read(rows: rows, into: out)
    }

    /// Scales and zero points, `[rows.count, groups]`.
    package func readGroups(
        rows: Range<Int>, scales: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<UInt8>
    ) {
        let groups = self.scales.groups
        self.scales.read(rows: rows, into: scales)
        switch self.zeros {
        case .constant(let zero): zeros.update(repeating: zero, count: rows.count * groups)
        case .packed(let packed) where packed.columns == groups: packed.read(rows: rows, into: zeros)
        case .packed(let packed):
            // What is behind the last group means nothing.
            let width = packed.columns
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rows.count * width) { wide in
                guard let wide = wide.baseAddress else { return }
                packed.read(rows: rows, into: wide)
                for row in 0..<rows.count {
                    (zeros + row * groups).update(from: wide + row * width, count: groups)
                }
            }
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    /// Rows of a transposed matrix are spread over all its pages, which go behind the last.
    package func dropPages(rows: Range<Int>) {
        guard rows.upperBound == self.rows else { return }
        codes.dropPages()
        scales.dropPages()
        if case .packed(let zeros) = zeros { zeros.dropPages() }
    }
}

extension GroupedWeights: AffineCodes {
    /// In the kernels' own format where they have one for such codes and groups, else to be rounded to Q8.
    var stored: any WeightSource {
        guard codes.bits == 4, case .neighbours(let size) = groups else { return self }
        let isSymmetric = if case .constant(8) = zeros { true } else { false }
        return AffineWeights(
            self, rows: rows, columns: columns, group: size, scaleType: scales.elementType,
            isSymmetric: isSymmetric, roundedTo: scales.elementType) ?? self
    }
}
