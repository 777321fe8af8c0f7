package import DoraTensor

/// What a merge did, for `--check`, logs and warnings.
package struct MergeReport: Sendable {
    package struct Entry: Sendable {
        package let module: String
        /// The update, e.g. `DoRA rank 8`; nil for a module that the adapter replaces whole.
        package let method: String?
        /// 0 for a module that the adapter replaces whole.
        package let rank: Int
        package let scaling: Float
        package let hasMagnitude: Bool
        /// Bytes of the new matrix, or of what the rows of an embedding are computed from.
        package let bytes: Int
        package let format: String
        /// What storing left of W' - V; nil where nothing was rounded.
        package let change: StoredChange?
        /// The formats that would have kept too little of it.
        package let tooCoarse: [Trial]
        /// Rows of the adapted matrix that are all zero: PEFT divides by their norm.
        package fileprivate(set) var zeroRows = 0

        /// Whether it asked for anything.
        package var isChange: Bool { change?.isChange ?? true }
        /// How far the stored matrix moved in the direction of W' - V: 1 is all of it, 0 nothing.
        package var survival: Double? { change.flatMap { $0.survival.isFinite ? $0.survival : nil } }
        /// The length of what was stored wrongly, in lengths of W' - V.
        package var noise: Double? { change.flatMap { $0.noise.isFinite ? $0.noise : nil } }
    }

    /// A format, and what it kept of a change.
    package struct Trial: Sendable {
        package let format: String
        package let change: StoredChange
    }

    package fileprivate(set) var entries: [Entry] = []
    /// m / ||V + s B A|| of every row that DoRA scales.
    package private(set) var ratios = MagnitudeRatios()
    /// The base that the adapter names.
    var baseModelName: String?
    private var adapterWarnings: [LoadWarning] = []

    /// The adapter's form, and what the other would cost.
    package let choice: FormChoice

    package init(choice: FormChoice) { self.choice = choice }

    package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

    /// The smallest share of any matrix's change that survived.
    package var leastSurvival: Double? { entries.compactMap(\.survival).min() }
    /// The most noise beside any matrix's change.
    package var mostNoise: Double? { entries.compactMap(\.noise).max() }

    mutating func add(_ entry: Entry, zeros: Int = 0, ratios: MagnitudeRatios = MagnitudeRatios()) {
        entries.append(entry)
        self.ratios.add(ratios)
        entries[entries.count - 1].zeroRows = zeros
    }

    mutating func warn(_ warnings: [LoadWarning]) { adapterWarnings += warnings }

    /// Those of the adapter, and one for each kind of thing that the merge noticed, however many modules it is about.
    package var warnings: [LoadWarning] {
        adapterWarnings + [ratios.warning(baseModelName: baseModelName)].compactMap { $0 } + raisedNote
            + lossWarning + [zeroWarning].compactMap { $0 }
    }

    /// Matrices in a format that was asked for and does not keep the change.
    private var lossWarning: [LoadWarning] {
        let lossy = entries.compactMap { entry in
            entry.change.map { (module: entry.module, trial: Trial(format: entry.format, change: $0)) }
        }.filter { !$0.trial.change.isFaithful }.sorted { $0.trial.isWorse(than: $1.trial) }
        guard let worst = lossy.first else { return [] }
        // Where eight bits lose as much, eight bits are no advice.
        let advice = lossy.allSatisfy { $0.trial.format == "q4" } ? "q8, f32 or auto" : "auto or f32"
        return [
            LoadWarning(
                "\(lossy.count) of \(entries.count) adapted matrices do not keep the adapter's change; the worst is "
                    + "\(worst.module), where \(worst.trial): use --merged \(advice)",
                details: lossy.map { "\($0.module): \($0.trial)" })
        ]
    }

    /// Matrices that take more memory than planned.
    private var raisedNote: [LoadWarning] {
        let raised = entries.compactMap { entry in
            entry.tooCoarse.last.map { (module: entry.module, format: entry.format, trial: $0) }
        }.sorted { $0.trial.isWorse(than: $1.trial) }
        guard let worst = raised.first else { return [] }
        let formats = Set(raised.map(\.format)).sorted().joined(separator: ", ")
        return [
            LoadWarning(
                "\(raised.count) of \(entries.count) adapted matrices are stored more finely (\(formats)) to keep "
                    + "the adapter's change; in \(worst.module) \(worst.trial)",
                details: raised.map { "\($0.module): \($0.trial), now \($0.format)" })
        ]
    }

    private var zeroWarning: LoadWarning? {
        LoadWarning(zeroRows: entries.map { (module: $0.module, count: $0.zeroRows) })
    }
}

extension LoadWarning {
    /// Rows without a direction, by module; nil if there are none.
    package init?(zeroRows: [(module: String, count: Int)]) {
        let zeros = zeroRows.filter { $0.count > 0 }.sorted { $0.count > $1.count }
        guard let worst = zeros.first else { return nil }
        self.init(
            "\(zeros.reduce(0) { $0 + $1.count }) rows of \(zeros.count) adapted matrices are all zero and "
                + "stay so, most of them (\(worst.count)) in \(worst.module); PEFT makes them NaN",
            details: zeros.map { "\($0.module): \($0.count) rows are all zero" })
    }
}

extension MergeReport.Trial: CustomStringConvertible {
    package var description: String {
        func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10) %" }
        return "\(format) keeps \(percent(change.survival)) of it under \(percent(change.noise)) of noise"
    }

    /// How far the stored matrix is from the wanted one.
    fileprivate func isWorse(than other: MergeReport.Trial) -> Bool { change.noise > other.change.noise }
}
