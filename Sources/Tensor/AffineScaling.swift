import CKernels

/// How an affine 4-bit matrix holds what its codes, 0...15, stand for. Sixteen rows of a tile share a record for each group
/// of inputs; a record is a few arrays of numbers, here in the order of a tile.
package struct AffineScaling: Sendable, Equatable {
    package enum Record: String, Sendable, CaseIterable {
        /// F16 scale: V = (code - 8) * scale. Q4_0; GPTQ and compressed-tensors, symmetric.
        case scales
        /// F16 scale, F16 minimum: V = code * scale + minimum. Q4_1.
        case minima
        /// F32 scale, U8 zero point: V = (code - zero) * scale. GPTQ, AWQ, compressed-tensors.
        case points
        /// For eight groups of 32 inputs: F16 unit, F16 step, U8 scales `[8]`, U8 minima `[8]`:
        /// V = code * (unit * scale) - step * minimum. Q4_K.
        case nested
    }

    package let record: Record
    /// Inputs that share a scale: 32, 64 or 128; 32 if `nested`.
    package let group: Int

    /// - Returns: nil unless the kernels have such groups.
    package init?(_ record: Record, group: Int) {
        guard Self.groups.contains(group), record != .nested || group == 32 else { return nil }
        self.record = record
        self.group = group
    }

    private init(_ record: Record) {
        self.record = record
        group = 32
    }

    package static let groups = [32, 64, 128]
    /// Of groups of 32 inputs, as GGUF files have them.
    package static let scales = AffineScaling(.scales)
    package static let minima = AffineScaling(.minima)
    package static let nested = AffineScaling(.nested)

    /// The code that stands for zero where no record says it.
    static let zero: Float = 8

    /// Inputs that a record speaks of.
    package var recordInputs: Int { record == .nested ? 8 * group : group }

    /// Bytes of a record of one row.
    package var recordBytes: Int {
        switch record {
        case .scales: 2
        case .minima: 4
        case .points: 5
        case .nested: 20
        }
    }

    /// Records of a row.
    package func recordCount(columns: Int) -> Int {
        columns.roundedUp(to: DK_BLOCK).roundedUp(to: recordInputs) / recordInputs
    }

    var kernelScaling: dk_scaling {
        switch record {
        case .scales: DK_SCALES
        case .minima: DK_MINIMA
        case .points: DK_POINTS
        case .nested: DK_NESTED_MINIMA
        }
    }
}
