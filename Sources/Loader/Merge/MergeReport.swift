/// What a merge did, for `--check`, logs and warnings.
package struct MergeReport: Sendable {
    package struct Entry: Sendable {
        package let module: String
        /// 0 for a module that the adapter replaces whole.
        package let rank: Int
        package let scaling: Float
        package let hasMagnitude: Bool
        /// Bytes of the new matrix, or of what the rows of an embedding are computed from.
        package let bytes: Int
        package let format: String
        /// `StoredChange.survival` and `noise` of W' - V; nil where nothing was rounded.
        package let survival: Double?
        package let noise: Double?
        /// Names of the formats that would have kept too little of it.
        package let tooCoarse: [String]
    }

    package fileprivate(set) var entries: [Entry] = []
    package fileprivate(set) var warnings: [String] = []

    package init() {}

    package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

    /// The smallest share of any matrix's change that survived.
    package var leastSurvival: Double? { entries.compactMap(\.survival).min() }

    /// Below this, the stored matrix may answer as the base does.
    private static let leastSurvivalWanted = 0.9

    mutating func add(_ entry: Entry, zeros: Int = 0) {
        entries.append(entry)
        if let survival = entry.survival, survival < Self.leastSurvivalWanted {
            let percent = (survival * 1000).rounded() / 10
            warnings.append(
                "\(entry.module): only \(percent) % of the adapter's change survives in \(entry.format); "
                    + "use --merged q8 or f32")
        }
        if zeros > 0 {
            warnings.append(
                "\(entry.module): \(zeros) rows of the adapted matrix are all zero and stay so; PEFT makes them NaN"
            )
        }
    }

    mutating func warn(_ warnings: [String]) { self.warnings += warnings }
}
