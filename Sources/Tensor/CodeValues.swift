import CKernels

/// What the codes of a matrix stand for, where its format does not say it all.
package struct CodeValues: Sendable, Equatable {
    /// Of an index of four bits, for a largest magnitude of 1: sixteen, or none where the codebook's levels are meant.
    package let levels: [Float]
    /// What values are rounded to.
    package let rounding: Compute.Rounding

    package init(levels: [Float] = [], rounding: Compute.Rounding = .none) {
        precondition(levels.isEmpty || levels.count == 16)
        self.levels = levels
        self.rounding = rounding
    }

    func withDecoding<Result>(_ body: (UnsafePointer<dk_decoding>) -> Result) -> Result {
        levels.withUnsafeBufferPointer { levels in
            let decoding = dk_decoding(
                levels: levels.isEmpty ? nil : levels.baseAddress, target: rounding.target)
            return withUnsafePointer(to: decoding) { body($0) }
        }
    }
}
