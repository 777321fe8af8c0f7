package import DoraText

/// What a PEFT adapter says about itself: `adapter_config.json`, checked against what can be served rightly.
///
/// Source: PEFT `src/peft/tuners/lora/config.py`. Every key may be absent or null and then has PEFT's default.
package struct AdapterConfiguration: Sendable {
    /// Which modules a key means: a regular expression, or names and ends of names.
    package enum Selection: Equatable, Sendable {
        case pattern(String)
        case names([String])
        /// Ends of names, without a dot before them.
        case endings([String])
    }

    /// A value for the modules that match a pattern. The first match in file order wins.
    package struct Override<Value: Sendable & Equatable>: Equatable, Sendable {
        package let pattern: String
        package let value: Value
    }

    package enum Bias: String, Sendable {
        case none, all
        /// Those of the adapted modules.
        case adapted = "lora_only"
    }

    /// Rows of an embedding that the adapter replaces.
    package struct TokenSelection: Equatable, Sendable {
        /// Name, or end of the name, of the embedding; nil for the model's input embedding.
        package let module: String?
        package let indices: [Int]
    }

    /// Path of the file.
    package let file: String
    let method: any AdapterMethod
    package let usesDoRA: Bool
    package let usesRankStabilization: Bool
    package let rank: Int
    package let alpha: Double
    package let rankOverrides: [Override<Int>]
    package let alphaOverrides: [Override<Double>]
    package let targetModules: Selection
    package let excludedModules: Selection?
    /// Modules of which only the magnitudes are trained.
    package let scaledModules: Selection?
    /// Empty: all layers.
    package let layers: [Int]
    package let layerPatterns: [String]
    package let savedModules: [String]
    package let bias: Bias
    /// Whether the second factor has a bias of its own.
    package let hasFactorBias: Bool
    package let tokens: [TokenSelection]
    /// Whether an update of one side of a tied pair of embeddings comes with one of the other side.
    package let keepsEmbeddingsTied: Bool
    package let baseModelName: String?
    package let peftVersion: String?
    package let warnings: [LoadWarning]

    package init(folder: String) throws(LoadError) {
        let path = try Self.path(in: Folder(folder))
        let bytes = try MappedFile.contents(of: path, atMost: ModelConfiguration.Limit.fileBytes)
        try self.init(parsing: bytes, file: path)
    }

    /// - Parameter file: names the bytes in errors.
    package init(parsing bytes: [UInt8], file: String) throws(LoadError) {
        try self.init(try JSONFields(parsing: bytes, file: file))
    }

    package init(_ fields: JSONFields) throws(LoadError) {
        let methodType = try AdapterRefusals.method(fields)
        let words = methodType.vocabulary
        let unknown = try AdapterRefusals.check(fields, words)
        method = try methodType.init(fields)
        file = fields.file
        usesDoRA = try fields.bool("use_dora") ?? words.isDoRA
        usesRankStabilization = try fields.bool("use_rslora") ?? false
        rank =
            try words.defaultRank.map { rank throws(LoadError) in try fields.int("r", in: Self.ranks) ?? rank
            } ?? 0
        alpha = try words.alpha.flatMap { key throws(LoadError) in try fields.double(key) } ?? 8
        rankOverrides = try Self.rankOverrides(fields)
        alphaOverrides = try Self.alphaOverrides(fields)
        let endings = words.matchesEndings
        targetModules =
            try Self.selection("target_modules", fields, endings: endings) ?? .names(words.defaultTargets)
        excludedModules = try Self.selection("exclude_modules", fields)
        var scaled: Selection?
        for key in PaperDoRA.magnitudeKeys where endings {
            scaled = try Self.selection(key, fields, endings: true) ?? scaled
        }
        scaledModules = scaled
        layers = try fields.ints("layers_to_transform", in: 0...ModelConfiguration.Limit.layers) ?? []
        layerPatterns = try Self.oneOrMany("layers_pattern", fields)
        savedModules = try fields.strings("modules_to_save") ?? []
        bias = try Self.bias(fields)
        hasFactorBias = try fields.bool("lora_bias") ?? false
        tokens = try Self.tokens(fields)
        keepsEmbeddingsTied = try fields.bool("ensure_weight_tying") ?? false
        baseModelName = try fields.string("base_model_name_or_path")
        peftVersion = try fields.string("peft_version")
        warnings = unknown + Self.warnings(rankOverrides, alphaOverrides, peftVersion, file: file)
        try checkCombinations(fields)
    }

    private static let ranks = 1...(1 << 16)
}

extension AdapterConfiguration {
    static func path(in folder: Folder) throws(LoadError) -> String {
        try AdapterFolder.configuration(in: folder)
    }

    private static func selection(
        _ key: String, _ fields: JSONFields, endings: Bool = false
    ) throws(LoadError) -> Selection? {
        guard let value = fields[key] else { return nil }
        if let pattern = value.string { return .pattern(pattern) }
        guard value.array != nil else {
            throw fields.mismatch(key, expected: "a string or an array of strings", value)
        }
        return try fields.strings(key).map(endings ? Selection.endings : Selection.names)
    }

    private static func oneOrMany(_ key: String, _ fields: JSONFields) throws(LoadError) -> [String] {
        if let string = fields[key]?.string { return [string] }
        return try fields.strings(key) ?? []
    }

    private static func rankOverrides(_ fields: JSONFields) throws(LoadError) -> [Override<Int>] {
        guard let nested = try fields.fields("rank_pattern") else { return [] }
        var overrides: [Override<Int>] = []
        for (pattern, _) in nested.object.members {
            overrides.append(Override(pattern: pattern, value: try nested.requiredInt(pattern, in: ranks)))
        }
        return overrides
    }

    private static func alphaOverrides(_ fields: JSONFields) throws(LoadError) -> [Override<Double>] {
        guard let nested = try fields.fields("alpha_pattern") else { return [] }
        var overrides: [Override<Double>] = []
        for (pattern, _) in nested.object.members {
            guard let alpha = try nested.double(pattern) else { throw nested.missing(pattern) }
            overrides.append(Override(pattern: pattern, value: alpha))
        }
        return overrides
    }

    private static func bias(_ fields: JSONFields) throws(LoadError) -> Bias {
        let spelling = try fields.string("bias") ?? Bias.none.rawValue
        if ["vera_only", "oft_only"].contains(spelling) { return .adapted }
        guard let bias = Bias(rawValue: spelling) else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("bias"), expected: "none, all or lora_only",
                found: "\"\(spelling)\"")
        }
        return bias
    }

    private static func tokens(_ fields: JSONFields) throws(LoadError) -> [TokenSelection] {
        let key = "trainable_token_indices"
        let ids = 0...ModelConfiguration.Limit.vocabulary
        guard let value = fields[key] else { return [] }
        if value.object == nil {
            let indices = try fields.ints(key, in: ids) ?? []
            return indices.isEmpty ? [] : [TokenSelection(module: nil, indices: indices)]
        }
        guard let nested = try fields.fields(key) else { return [] }
        var tokens: [TokenSelection] = []
        for (module, _) in nested.object.members {
            tokens.append(TokenSelection(module: module, indices: try nested.ints(module, in: ids) ?? []))
        }
        return tokens
    }

    /// Before version 0.14 PEFT looked rank and alpha up under one pattern, the first to match in either list.
    private static func warnings(
        _ ranks: [Override<Int>], _ alphas: [Override<Double>], _ version: String?, file: String
    ) -> [LoadWarning] {
        guard version == nil, !ranks.isEmpty, !alphas.isEmpty, ranks.map(\.pattern) != alphas.map(\.pattern)
        else { return [] }
        return [
            LoadWarning(
                "\(file): alpha_pattern: read as PEFT 0.14 and later read it; if an older version trained this adapter,"
                    + " its scalings may differ")
        ]
    }

    private func checkCombinations(_ fields: JSONFields) throws(LoadError) {
        if usesDoRA && hasFactorBias {
            throw fields.unsupported(
                "lora_bias", "PEFT does not combine a bias of the second factor with DoRA",
                advice: "train without lora_bias")
        }
        if case .pattern = targetModules, !layers.isEmpty {
            throw fields.unsupported(
                "layers_to_transform", "it cannot stand beside a target_modules that is a string",
                advice: "name the layers in the pattern")
        }
    }
}
