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
        /// The share of W' - V that the stored matrix kept; nil where nothing was rounded.
        package let survival: Double?
        /// Rows of the adapted matrix that are all zero: PEFT divides by their norm.
        package fileprivate(set) var zeroRows = 0
    }

    package fileprivate(set) var entries: [Entry] = []
    private var adapterWarnings: [LoadWarning] = []

    package init() {}

    package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

    /// The smallest share of any matrix's change that survived.
    package var leastSurvival: Double? { entries.compactMap(\.survival).min() }

    /// Below this, the stored matrix may answer as the base does.
    private static let leastSurvivalWanted = 0.9

    mutating func add(_ entry: Entry, zeros: Int = 0) {
        entries.append(entry)
        entries[entries.count - 1].zeroRows = zeros
    }

    mutating func warn(_ warnings: [LoadWarning]) { adapterWarnings += warnings }

    /// Those of the adapter, and one for each kind of thing that the merge noticed, however many modules it is about.
    package var warnings: [LoadWarning] { adapterWarnings + survivalWarning + zeroWarning }

    private var survivalWarning: [LoadWarning] {
        let lossy = entries.compactMap { entry in entry.survival.map { (entry: entry, survival: $0) } }
            .filter { $0.survival < Self.leastSurvivalWanted }.sorted { $0.survival < $1.survival }
        guard let worst = lossy.first else { return [] }
        func percent(_ share: Double) -> Double { (share * 1000).rounded() / 10 }
        // Where eight bits lose as much, eight bits are no advice.
        let advice = lossy.allSatisfy { $0.entry.format == "q4" } ? "q8 or f32" : "f32"
        return [
            LoadWarning(
                "\(lossy.count) of \(entries.count) adapted matrices keep less than "
                    + "\(Int(Self.leastSurvivalWanted * 100)) % of the adapter's change; the worst is "
                    + "\(worst.entry.module) with \(percent(worst.survival)) % in \(worst.entry.format): "
                    + "use --merged \(advice)",
                details: lossy.map {
                    "\($0.entry.module): \(percent($0.survival)) % of the change kept in \($0.entry.format)"
                })
        ]
    }

    private var zeroWarning: [LoadWarning] {
        let zeros = entries.filter { $0.zeroRows > 0 }.sorted { $0.zeroRows > $1.zeroRows }
        guard let worst = zeros.first else { return [] }
        return [
            LoadWarning(
                "\(zeros.reduce(0) { $0 + $1.zeroRows }) rows of \(zeros.count) adapted matrices are all zero and "
                    + "stay so, most of them (\(worst.zeroRows)) in \(worst.module); PEFT makes them NaN",
                details: zeros.map { "\($0.module): \($0.zeroRows) rows are all zero" })
        ]
    }
}
