import DoraLoader
package import DoraRuntime
import FoundationEssentials

/// What `--check` says of a base and an adapter that fit each other.
package struct CheckReport: Encodable, Sendable {
    struct Module: Encodable {
        let module: String
        let rank: Int
        let scaling: Double
        let dora: Bool
        let format: String
        let bytes: Int
        let survival: Double?
        let noise: Double?
        let zero_rows: Int

        fileprivate var kept: String {
            guard let survival, let noise else { return "" }
            func percent(_ share: Double) -> Double { (share * 10_000).rounded() / 100 }
            return ", \(percent(survival)) % of the change kept, noise \(percent(noise)) % of it"
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
    }

    let base: Base
    let adapter: String?
    let modules: [Module]
    let adapted_bytes: Int
    let least_survival: Double?
    let most_noise: Double?
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
            head_format: model.base.headFormat)
        adapter = model.settings.adapter
        modules = (model.merge?.entries ?? []).map { entry in
            Module(
                module: entry.module, rank: entry.rank, scaling: Double(entry.scaling),
                dora: entry.hasMagnitude,
                format: entry.format, bytes: entry.bytes, survival: entry.survival,
                noise: entry.noise,
                zero_rows: entry.zeroRows)
        }
        adapted_bytes = model.merge?.bytes ?? 0
        least_survival = model.merge?.leastSurvival
        most_noise = model.merge?.mostNoise
        warnings = model.warnings.map(\.summary)
        details = model.warnings.flatMap(\.details)
    }

    /// For people: one line per adapted module.
    package var text: String {
        var lines = [
            "base      \(base.model): \(base.layers) layers of \(base.hidden_size), vocabulary "
                + "\(base.vocabulary_size), \(base.linear_format) (head \(base.head_format)), "
                + "\(base.matrix_bytes) bytes of matrices"
        ]
        guard let adapter else { return (lines + details).joined(separator: "\n") + "\n" }
        lines.append("adapter   \(adapter): \(modules.count) modules, \(adapted_bytes) bytes merged")
        for module in modules {
            let kind = module.rank == 0 ? "replaced" : "\(module.dora ? "DoRA" : "LoRA") rank \(module.rank)"
            lines.append("  \(module.module): \(kind), \(module.format), \(module.bytes) bytes\(module.kept)")
        }
        if !details.isEmpty { lines += ["details"] + details.map { "  \($0)" } }
        lines.append("the adapter fits the base")
        return lines.joined(separator: "\n") + "\n"
    }
}
