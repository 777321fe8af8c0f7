import DoraText

/// A member of `config_groups`: which modules are quantized, and how their weights are.
///
/// Source: compressed-tensors `quantization/quant_scheme.py`, `quantization/quant_args.py`, `utils/match.py`
/// (`match_targets`).
struct CompressedTensorsGroup: Equatable, Sendable {
    enum Storage: Sendable {
        case packed, bytes, floats
    }

    /// What shares a scale.
    enum Strategy: Equatable, Sendable {
        case tensor, channel
        case group(Int)
        case block(rows: Int, columns: Int)
    }

    struct Scheme: Equatable, Sendable {
        let storage: Storage
        let bits: Int
        let isSymmetric: Bool
        let strategy: Strategy
    }

    private enum Target: Equatable, Sendable {
        case name(String)
        case pattern(NamePattern)
    }

    private let targets: [Target]
    /// Nil where the group quantizes activations only.
    private let scheme: Scheme?

    /// - Parameter format: of the checkpoint; a group may say another.
    init(_ fields: JSONFields, format: String) throws(LoadError) {
        try fields.refuseOthers(than: Self.known)
        var targets: [Target] = []
        for text in try fields.strings("targets") ?? [] {
            let isPattern = text.hasPrefix("re:")
            targets.append(
                isPattern
                    ? .pattern(try NamePattern(String(text.dropFirst(3)), fields, key: "targets"))
                    : .name(text))
        }
        self.targets = targets
        let own = try fields.string("format")
        scheme = try fields.fields("weights").map { weights throws(LoadError) in
            try Self.scheme(weights, format: own ?? format, fields)
        }
    }

    /// As the library picks one: names before patterns, in the order of the alphabet, before classes; what a later group
    /// says of a target counts.
    static func scheme(of spellings: [String], in groups: [CompressedTensorsGroup]) -> Scheme? {
        func best(_ matches: (Target) -> String?) -> Scheme? {
            var found: [String: Scheme?] = [:]
            for group in groups {
                for target in group.targets {
                    if let text = matches(target) { found[text] = .some(group.scheme) }
                }
            }
            return found.keys.min().flatMap { found[$0] ?? nil }
        }
        let byName = best { target in
            if case .name(let name) = target, spellings.contains(name) { name } else { nil }
        }
        let byPattern = best { target in
            if case .pattern(let pattern) = target, spellings.contains(where: pattern.matches) {
                pattern.text
            } else {
                nil
            }
        }
        return byName ?? byPattern ?? best { $0 == .name("Linear") ? "Linear" : nil }
    }

    private static func scheme(
        _ weights: JSONFields, format: String, _ fields: JSONFields
    ) throws(LoadError) -> Scheme {
        try weights.refuseOthers(than: knownOfWeights)
        let bits = try weights.int("num_bits", in: 1...16) ?? 8
        let type = try weights.string("type") ?? "int"
        let storages: [String: Storage] = [
            "pack-quantized": .packed, "int-quantized": .bytes, "float-quantized": .floats,
            "naive-quantized": type == "float" ? .floats : .bytes,
        ]
        guard let storage = storages[format] else {
            throw fields.unsupported(
                "format", "weights in the format \"\(format)\" are not supported",
                advice: "use one of \(storages.keys.sorted().joined(separator: ", "))")
        }
        let widths = storage == .packed ? [2, 4, 8] : [8]
        guard widths.contains(bits), type == (storage == .floats ? "float" : "int") else {
            throw weights.unsupported(
                "num_bits", "\(format) of \(bits) bits of type \"\(type)\" is not supported",
                advice: "use a checkpoint of 4 or 8 bits")
        }
        let strategy = try strategy(weights)
        if case .block = strategy, storage != .floats {
            throw weights.unsupported(
                "strategy", "blocks of integers are not supported", advice: "use groups")
        }
        return Scheme(
            storage: storage, bits: bits, isSymmetric: try weights.bool("symmetric") ?? true,
            strategy: strategy)
    }

    private static func strategy(_ weights: JSONFields) throws(LoadError) -> Strategy {
        let size = try weights.int("group_size", in: -1...ModelConfiguration.Limit.width)
        let inferred = size.map { $0 > 0 ? "group" : "channel" } ?? "tensor"
        switch try weights.string("strategy") ?? inferred {
        case "tensor": return .tensor
        case "channel": return .channel
        case "group":
            guard let size, size > 0 else { throw weights.missing("group_size") }
            return .group(size)
        case "block":
            let sizes = try weights.ints("block_structure", in: 1...ModelConfiguration.Limit.width) ?? []
            guard sizes.count == 2 else { throw weights.missing("block_structure") }
            return .block(rows: sizes[0], columns: sizes[1])
        case let other:
            throw weights.unsupported(
                "strategy", "scales by \"\(other)\" are not supported",
                advice: "use tensor, channel, group or block")
        }
    }

    private static let known: Set<String> = [
        "targets", "weights", "input_activations", "output_activations", "format",
    ]
    private static let knownOfWeights: Set<String> = [
        "num_bits", "type", "symmetric", "group_size", "strategy", "block_structure", "dynamic", "actorder",
        "scale_dtype", "zp_dtype", "observer", "observer_kwargs", "is_mse",
    ]
}
