import DoraLoader

/// What is worth saying of the matrices that were written.
struct ExportRemarks {
    private var ratios = MagnitudeRatios()
    private var zeroRows: [(module: String, count: Int)] = []

    mutating func add(_ rows: MergedRows, module: String) {
        ratios.add(rows.ratios)
        if rows.zeroRows > 0 { zeroRows.append((module, rows.zeroRows)) }
    }

    /// - Parameter name: of the base that the adapter names.
    func warnings(baseModelName name: String?) -> [LoadWarning] {
        [ratios.warning(baseModelName: name), LoadWarning(zeroRows: zeroRows)].compactMap { $0 }
    }

    static let splitHead = LoadWarning(
        "head and embedding, one matrix in the base, are two from here on (tie_word_embeddings: false)")
}
