package import DoraText

/// PEFT's rules for which modules an adapter changes and with which rank and alpha.
///
/// Source: PEFT `src/peft/tuners/tuners_utils.py` (`check_target_module_exists`), `src/peft/utils/other.py`
/// (`get_pattern_key`), as of version 0.21. Patterns are compiled once.
package struct ModuleMatching: Sendable {
    private enum Selector: Sendable {
        case everyLinear
        case pattern(ModulePattern)
        case names([String])
        case endings([String])
    }

    private let targets: Selector
    private let excluded: Selector?
    private let scaled: Selector?
    private let saved: [ModulePattern]
    private let layers: Set<Int>
    private let layerPatterns: [ModulePattern]
    private let ranks: [(pattern: ModulePattern, name: String, value: Int)]
    private let alphas: [(pattern: ModulePattern, name: String, value: Double)]
    private let defaultRank: Int
    private let defaultAlpha: Double
    private let usesRankStabilization: Bool
    /// How the model that PEFT saw spelled its modules: patterns are meant for those names.
    var spelling = MultimodalNames.plain

    /// - Throws: `LoadError` `.malformed` that names the key whose pattern is no regular expression.
    package init(_ configuration: AdapterConfiguration) throws(LoadError) {
        let compiler = Compiler(file: configuration.file)
        targets = try compiler.targets(configuration.targetModules)
        excluded = try compiler.optional(configuration.excludedModules, key: "exclude_modules")
        scaled = try compiler.optional(configuration.scaledModules, key: "Wdecompose_target_modules")
        var saved: [ModulePattern] = []
        for name in configuration.savedModules {
            saved.append(
                try compiler.compile("(^|.*\\.)\(name)($|\\..*)", written: name, key: "modules_to_save"))
        }
        self.saved = saved
        layers = Set(configuration.layers)
        var layerPatterns: [ModulePattern] = []
        for name in configuration.layerPatterns {
            layerPatterns.append(
                try compiler.compile("(?:.*\\.)?(?:\(name))", written: name, key: "layers_pattern"))
        }
        self.layerPatterns = layerPatterns
        ranks = try compiler.overrides(configuration.rankOverrides, key: "rank_pattern")
        alphas = try compiler.overrides(configuration.alphaOverrides, key: "alpha_pattern")
        defaultRank = configuration.rank
        defaultAlpha = configuration.alpha
        usesRankStabilization = configuration.usesRankStabilization
    }

    /// Whether the adapter changes `module` (e.g. `model.layers.3.self_attn.q_proj`), a linear layer or embedding.
    package func targets(_ module: String) -> Bool {
        let module = spelling.spelled(module)
        if let excluded, Self.selects(excluded, module) { return false }
        if saved.contains(where: { $0.matchesStart(of: module) }) { return false }
        guard Self.selects(targets, module) else { return false }
        // A full name in a list is meant as it is; the layers restrict the other ones.
        if case .names(let names) = targets, !layers.isEmpty, !names.contains(module) {
            return layer(of: module).map(layers.contains) ?? false
        }
        return true
    }

    /// Whether only the magnitudes of `module` are trained.
    func scalesAlone(_ module: String) -> Bool {
        guard let scaled, Self.selects(scaled, spelling.spelled(module)) else { return false }
        return !targets(module)
    }

    package func rank(of module: String) -> Int {
        let module = spelling.spelled(module)
        return ranks.first { $0.pattern.matchesStart(of: module) }?.value
            ?? ranks.first { $0.name == module }?.value ?? defaultRank
    }

    package func alpha(of module: String) -> Double {
        let module = spelling.spelled(module)
        return alphas.first { $0.pattern.matchesStart(of: module) }?.value
            ?? alphas.first { $0.name == module }?.value ?? defaultAlpha
    }

    /// The factor s of s·B·A: alpha / rank, or alpha / √rank when rank-stabilized.
    package func scaling(of module: String) -> Float {
        let rank = Double(rank(of: module))
        return Float(alpha(of: module) / (usesRankStabilization ? rank.squareRoot() : rank))
    }
}

extension ModuleMatching {
    private static func selects(_ selector: Selector, _ module: String) -> Bool {
        switch selector {
        case .everyLinear: isInnerLinear(module)
        case .pattern(let pattern): pattern.matchesWhole(module)
        case .names(let names): names.contains { module == $0 || module.hasSuffix("." + $0) }
        case .endings(let endings): endings.contains { module.hasSuffix($0) }
        }
    }

    /// All modules with weights but the output head, embeddings and norms.
    private static func isInnerLinear(_ module: String) -> Bool {
        !module.hasSuffix("lm_head") && !module.hasSuffix("embed_tokens") && !module.hasSuffix("norm")
    }

    /// The number of the first numbered segment, or of the first one that follows a `layers_pattern`.
    private func layer(of module: String) -> Int? {
        let segments = module.split(separator: ".", omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated().dropLast() where segment.allSatisfy(\.isASCIIDigit) {
            guard let number = Int(segment) else { continue }
            let before = segments[..<index].joined(separator: ".")
            let isLayer =
                layerPatterns.isEmpty ? index >= 2 : layerPatterns.contains { $0.matchesWhole(before) }
            if isLayer { return number }
        }
        return nil
    }

    /// Turns the strings of a configuration into matchers, or into errors that name their key.
    private struct Compiler {
        let file: String

        func compile(_ pattern: String, written: String, key: String) throws(LoadError) -> ModulePattern {
            do {
                // By itself first: a stray parenthesis must not pair up with those around it.
                _ = try ModulePattern(written)
                return try ModulePattern(pattern)
            } catch {
                throw LoadError(
                    .malformed, file: file, field: key,
                    "\(JSONValue.string(written)) is no usable regular expression: \(error.problem)",
                    advice: "simplify the pattern")
            }
        }

        func targets(_ selection: AdapterConfiguration.Selection) throws(LoadError) -> Selector {
            switch selection {
            case .names(let names): .names(names)
            case .endings(let endings): .endings(endings)
            case .pattern(let pattern) where pattern.lowercased() == "all-linear": .everyLinear
            case .pattern(let pattern):
                .pattern(try compile(pattern, written: pattern, key: "target_modules"))
            }
        }

        func optional(
            _ selection: AdapterConfiguration.Selection?, key: String
        ) throws(LoadError) -> Selector? {
            switch selection {
            case nil, .pattern(""): nil
            case .names(let names): .names(names)
            case .endings(let endings): .endings(endings)
            case .pattern(let pattern): .pattern(try compile(pattern, written: pattern, key: key))
            }
        }

        func overrides<Value>(
            _ overrides: [AdapterConfiguration.Override<Value>], key: String
        ) throws(LoadError) -> [(pattern: ModulePattern, name: String, value: Value)] {
            var compiled: [(pattern: ModulePattern, name: String, value: Value)] = []
            for override in overrides {
                let pattern = try compile(
                    "(.*\\.)?(\(override.pattern))$", written: override.pattern, key: key)
                compiled.append((pattern, override.pattern, override.value))
            }
            return compiled
        }
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) && isASCII }
}
