import DoraTensor

/// How matrices are stored in memory. What they stand for, V, is decided by the checkpoint and `Quantization` alone.
package struct StorageOptions: Sendable, Equatable {
    /// The linear layers that no adapter touches.
    package enum Weights: String, Sendable, CaseIterable {
        /// As the checkpoint holds them.
        case native
        case f32
        case q8
    }

    /// The matrices that an adapter changed. Four bits can erase an adapter, so that is never a default.
    package enum Merged: String, Sendable, CaseIterable {
        /// Q8 where the base matrix has 8 or 4 bits, the base's own type where it has 16 or 32.
        case auto
        case f32
        case q8
        case q4
    }

    /// The output head, which quantized checkpoints keep in 16 bits.
    package enum Head: String, Sendable, CaseIterable {
        /// Q8 when the linear layers are quantized, else as the checkpoint holds it.
        case auto
        case native
        case q8
        case q4
    }

    package var weights: Weights
    package var merged: Merged
    package var head: Head

    package init(weights: Weights = .native, merged: Merged = .auto, head: Head = .auto) {
        self.weights = weights
        self.merged = merged
        self.head = head
    }

    /// Whether a base counts as quantized: its head then does not decide.
    func isQuantized(_ sources: [String: any WeightSource]) -> Bool {
        sources.contains { $0.key != ModuleInventory.head && $0.value.nativeFormat.isQuantized }
    }

    /// The format of a linear module of the base.
    func format(of source: any WeightSource, as module: String, baseIsQuantized: Bool) -> MatrixFormat {
        if module == ModuleInventory.head { return headFormat(of: source, baseIsQuantized: baseIsQuantized) }
        return switch weights {
        case .native: source.nativeFormat
        case .f32: .f32
        case .q8: .q8
        }
    }

    private func headFormat(of source: any WeightSource, baseIsQuantized: Bool) -> MatrixFormat {
        switch head {
        case .native: weights == .f32 ? .f32 : source.nativeFormat
        case .q8: .q8
        case .q4: Self.fourBit
        case .auto:
            switch weights {
            case .f32: .f32
            case .q8: .q8
            case .native: baseIsQuantized ? .q8 : source.nativeFormat
            }
        }
    }

    /// The format of a matrix merged from `source`.
    func mergedFormat(of source: any WeightSource) -> MatrixFormat {
        switch merged {
        case .f32: .f32
        case .q8: .q8
        case .q4: Self.fourBit
        case .auto: source.nativeFormat.isQuantized ? .q8 : source.nativeFormat
        }
    }

    /// A merged head follows `--merged` where that is given, else `--head`, and else is stored as the base's head is,
    /// in Q8 if that holds a checkpoint's codes.
    func mergedHeadFormat(base: MatrixFormat) -> MatrixFormat {
        switch merged {
        case .f32: .f32
        case .q8: .q8
        case .q4: Self.fourBit
        case .auto: head == .q4 ? Self.fourBit : base.isQuantized ? .q8 : base
        }
    }

    private static let fourBit = MatrixFormat.q4(FourBitCode.nf4.codebook)
}
