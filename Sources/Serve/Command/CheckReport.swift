import DoraLoader
package import DoraRuntime
import FoundationEssentials

/// What `--check` says of a base and an adapter that fit each other.
package struct CheckReport: Encodable, Sendable {
    struct Module: Encodable {
        let module: String
        /// Nil for a module that the adapter replaces whole.
        let method: String?
        let rank: Int
        let scaling: Double
        let dora: Bool
        let format: String
        let bytes: Int
        let survival: Double?
        let noise: Double?
        let zero_rows: Int
        let changes: Bool

        fileprivate var kept: String {
            guard changes else { return ", no change" }
            guard let survival, let noise else { return "" }
            func percent(_ share: Double) -> Double { (share * 10_000).rounded() / 100 }
            return ", \(percent(survival)) % of the change kept, noise \(percent(noise)) % of it"
        }
    }

    /// m / ||V + s B A|| of DoRA's rows: near 1 on the base of the training.
    struct Ratios: Encodable {
        let median: Double
        /// Where nine tenths of them lie.
        let low: Double
        let high: Double

        init?(_ ratios: MagnitudeRatios) {
            guard let median = ratios.median, let spread = ratios.spread else { return nil }
            (self.median, low, high) = (median, spread.lowerBound, spread.upperBound)
        }

        fileprivate var text: String {
            func rounded(_ number: Double) -> Double { (number * 1000).rounded() / 1000 }
            return
                "magnitudes \(rounded(median)) times the norms of the rows that they scale (median; nine tenths "
                + "within \(rounded(low)) to \(rounded(high)))"
        }
    }

    /// What the adapter's form is, and what a step would read in either.
    struct Form: Encodable {
        let form: String
        let reason: String
        let base_bytes: Int
        let merged_bytes: Int
        let factored_bytes: Int?

        init(_ choice: FormChoice) {
            form = choice.form.rawValue
            reason = choice.reason
            base_bytes = choice.baseBytes
            merged_bytes = choice.mergedBytes
            factored_bytes = choice.factoredBytes
        }

        fileprivate var text: String {
            "form      \(form): \(reason); a step reads \(base_bytes) bytes of the base, \(merged_bytes) merged"
                + (factored_bytes.map { ", \($0) factored" } ?? "")
        }
    }

    struct Base: Encodable {
        let model: String
        let layers: Int
        let hidden_size: Int
        let vocabulary_size: Int
        let matrix_bytes: Int
        let linear_format: String
        let head_format: String
        let kv_format: String
    }

    let base: Base
    let adapter: String?
    let modules: [Module]
    let adapted_bytes: Int
    let form: Form?
    let least_survival: Double?
    let most_noise: Double?
    let magnitude_ratio: Ratios?
    let warnings: [String]
    /// What the warnings count.
    let details: [String]

    package init(_ model: LoadedModel) {
        let configuration = model.configuration
        base = Base(
            model: model.settings.model, layers: configuration.layerCount,
            hidden_size: configuration.hiddenSize,
            vocabulary_size: configuration.vocabularySize, matrix_bytes: model.base.matrixBytes,
            linear_format: model.base.linearFormat,
            head_format: model.base.headFormat,
            kv_format: model.keyValueFormat)
        adapter = model.settings.adapter
        modules = (model.merge?.entries ?? []).map { entry in
            Module(
                module: entry.module, method: entry.method, rank: entry.rank, scaling: Double(entry.scaling),
                dora: entry.hasMagnitude,
                format: entry.format, bytes: entry.bytes, survival: entry.survival,
                noise: entry.noise,
                zero_rows: entry.zeroRows, changes: entry.isChange)
        }
        adapted_bytes = model.merge?.bytes ?? 0
        form = model.merge.map { Form($0.choice) }
        least_survival = model.merge?.leastSurvival
        most_noise = model.merge?.mostNoise
        magnitude_ratio = model.merge.flatMap { Ratios($0.ratios) }
        warnings = model.warnings.map(\.summary)
        details = model.warnings.flatMap(\.details)
    }

    /// For people: one line per adapted module.
    package var text: String {
        var lines = [
            "base      \(base.model): \(base.layers) layers of \(base.hidden_size), vocabulary "
                + "\(base.vocabulary_size), \(base.linear_format) (head \(base.head_format), keys and values \(base.kv_format)), "
                + "\(base.matrix_bytes) bytes of matrices"
        ]
        guard let adapter else { return (lines + details).joined(separator: "\n") + "\n" }
        lines.append(
            "adapter   \(adapter): \(modules.count) modules, \(adapted_bytes) bytes \(form?.form ?? "merged")"
        )
        if let form { lines.append(form.text) }
        for module in modules {
            lines.append(
                "  \(module.module): \(module.method ?? "replaced"), \(module.format), \(module.bytes) bytes\(module.kept)"
            )
        }
        if let magnitude_ratio { lines.append(magnitude_ratio.text) }
        if !details.isEmpty { lines += ["details"] + details.map { "  \($0)" } }
        lines.append("the adapter fits the base")
        return lines.joined(separator: "\n") + "\n"
    }
}
