/// How an adapter changes a base.
package enum AdapterForm: String, Sendable, CaseIterable {
    /// Its matrices are merged with the base's, and take their place: a step costs what it costs the base.
    case merged
    /// Its factors act beside the base's matrices, which all adapters share (`LowRankPart`). What has no factors is merged.
    case factored
}

/// What a step reads with an adapter in either form, and the form that it gets: a pure function of the adapter and of the
/// formats of the base, so that it is the same whoever asks.
package struct FormChoice: Sendable {
    package let form: AdapterForm
    /// Why, for people.
    package let reason: String
    /// Bytes of matrices that a step of the base reads.
    package let baseBytes: Int
    package let mergedBytes: Int
    /// Nil where the adapter has no factors.
    package let factoredBytes: Int?

    /// Bytes of an adapter's own in a form, beyond the base's; nil if it cannot have that form.
    package func addedBytes(_ form: AdapterForm) -> Int? {
        switch form {
        case .merged: mergedBytes - baseBytes
        case .factored: factoredBytes.map { $0 - baseBytes }
        }
    }

    /// Share of a step's bytes that merging may add.
    private static let allowance = 0.05

    /// - Parameters:
    ///   - format: of merged matrices, as it was asked for.
    ///   - fixed: bytes that both forms add, of modules that have no factors.
    ///   - merged: bytes that the modules with factors add merged, beyond those of the base's matrices.
    ///   - factored: what they add factored; nil if there are none.
    package init(
        _ asked: StorageOptions.Form, merged format: StorageOptions.Merged, base: Int, fixed: Int,
        mergedBytes merged: Int, factoredBytes factored: Int?
    ) {
        baseBytes = base
        mergedBytes = base + fixed + merged
        factoredBytes = factored.map { base + fixed + $0 }
        let share = Double(merged) / Double(max(base, 1))
        let percent = "\((share * 1000).rounded() / 10) %"
        (form, reason) =
            switch (asked, factored) {
            case (_, nil): (.merged, "it has no low-rank factors that could act beside the base")
            case (.merged, _): (.merged, "as asked for")
            case (.factored, _): (.factored, "as asked for")
            case (.auto, _) where format != .auto:
                (.merged, "a format of merged matrices was asked for")
            case (.auto, _) where share > Self.allowance:
                (.factored, "merged, a step would read \(percent) more than the base's, over 5 %")
            case (.auto, _):
                (.merged, "a step reads \(percent) more than the base's, no more than 5 %")
            }
    }
}
