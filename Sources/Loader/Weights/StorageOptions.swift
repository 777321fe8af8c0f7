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
        /// Q8 where the base matrix has 8 bits or fewer, F16 where it has 16, F32 where it has 32; a matrix in which that
        /// would not keep the adapter's change is stored more finely.
        case auto
        case f32
        case q8
        case q4
    }

    /// The output head, which most quantized checkpoints keep in 16 bits.
    package enum Head: String, Sendable, CaseIterable {
        /// As the checkpoint holds it, but Q8 where that is in floats and the linear layers are quantized.
        case auto
        case native
        case q8
        case q4
    }

    /// How an adapter of low-rank factors changes the base (`AdapterForm`).
    package enum Form: String, Sendable, CaseIterable {
        /// Merged, unless that would make a step read far more; and merged where `merged` names a format.
        case auto
        case merged
        case factored
    }

    package var weights: Weights
    package var merged: Merged
    package var head: Head
    package var form: Form

    package init(weights: Weights = .native, merged: Merged = .auto, head: Head = .auto, form: Form = .auto) {
        self.weights = weights
        self.merged = merged
        self.head = head
        self.form = form
    }

    /// Whether the factors of a factored adapter are kept in 16 bits.
    var hasHalfFactors: Bool { weights != .f32 }

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
            case .native: baseIsQuantized && !source.nativeFormat.isQuantized ? .q8 : source.nativeFormat
            }
        }
    }

    /// The formats of a linear module that an adapter changes, over a base matrix in `native`: the first is meant to
    /// keep the change, those behind it are for changes that it cannot resolve.
    /// - Parameter isUpdate: whether the adapter adds to the matrix, else it replaces it whole, and there is no change to
    ///   lose.
    func mergedFormats(of module: String, over native: MatrixFormat, isUpdate: Bool) -> [MatrixFormat] {
        switch merged {
        case .f32: return [.f32]
        case .q8: return [.q8]
        case .q4: return [Self.fourBit]
        case .auto: break
        }
        if module == ModuleInventory.head, head == .q4 { return [Self.fourBit] }
        guard isUpdate else { return [native.isQuantized ? .q8 : native] }
        return switch native {
        case .f32: [.f32]
        case .f16: [.f16, .f32]
        // F16 has an eighth of BF16's step, where its range suffices.
        case .bf16: [.f16, .bf16, .f32]
        case .q8, .q8Row, .q4, .q4Nested, .q8_0, .affine, .q6_K: [.q8, .f16, .f32]
        }
    }

    private static let fourBit = MatrixFormat.q4(FourBitCode.nf4.codebook)
}
