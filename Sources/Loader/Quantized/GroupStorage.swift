import DoraTensor

/// How the kernels keep a checkpoint's integers without loss.
struct GroupStorage: Sendable {
    let format: MatrixFormat
    /// Inputs that a scale of the format speaks of.
    let width: Int
    /// Inputs that a scale of the checkpoint speaks of, at least as many.
    let size: Int
    /// In which those are neighbours.
    let order: InputOrder?

    /// - Returns: nil where the kernels have no format for them: unless 32 divides a group or it is a whole row's; and
    ///   for 8 bits, unless they are symmetric and F16 holds their scales.
    init?(bits: Int, columns: Int, groups: InputGroups, zeros: GroupedWeights.Zeros, scales: GroupScales) {
        guard let (size, order) = groups.asNeighbours() else { return nil }
        let isWhole = size >= columns
        guard let width = AffineScaling.groups.last(where: { isWhole || size.isMultiple(of: $0) }) else {
            return nil
        }
        self.size = size
        self.order = order
        let middle: UInt8? = if case .constant(let zero) = zeros { zero } else { nil }
        if bits == 8 {
            guard middle == 128, scales.fitHalf else { return nil }
            format = width == 32 ? .q8_0 : .q8
            self.width = width == 32 ? 32 : 64
        } else {
            let record: AffineScaling.Record = middle == 8 && scales.fitHalf ? .scales : .points
            guard let scaling = AffineScaling(record, group: width) else { return nil }
            format = .affine(scaling)
            self.width = width
        }
    }

    /// Whether a record is an F16 scale, else an F32 scale and a zero point.
    private var holdsHalves: Bool {
        if case .affine(let scaling) = format { scaling.record == .scales } else { true }
    }

    /// Codes as the format has them.
    /// - Parameter codes: `[rows, columns]` of the checkpoint, to be changed in place.
    func arrange(_ codes: UnsafeMutablePointer<UInt8>, rows: Int, columns: Int) {
        if format == .q8 || format == .q8_0 {
            for index in 0..<rows * columns { codes[index] ^= 0x80 }
        }
        guard let order else { return }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: columns) { memory in
            guard let row = memory.baseAddress else { return }
            for index in 0..<rows {
                row.update(from: codes + index * columns, count: columns)
                order.arrange(row, into: codes + index * columns)
            }
        }
    }

    /// A row's records of scales and zero points.
    func writeRecords(
        scales: UnsafePointer<Float>, zeros: UnsafePointer<UInt8>, columns: Int,
        into records: UnsafeMutableRawPointer
    ) {
        for (index, input) in stride(from: 0, to: columns, by: width).enumerated() {
            let group = input / size
            if holdsHalves {
                records.storeBytes(of: Float16(scales[group]), toByteOffset: 2 * index, as: Float16.self)
            } else {
                records.storeBytes(of: scales[group], toByteOffset: 5 * index, as: Float.self)
                records.storeBytes(of: zeros[group], toByteOffset: 5 * index + 4, as: UInt8.self)
            }
        }
    }
}
