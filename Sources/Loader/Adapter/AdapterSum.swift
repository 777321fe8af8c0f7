import Crypto
package import DoraText

/// Which adapter a command line means: a folder, with a factor if need be, or several whose changes add up:
/// `style*0.5+facts`. A folder of that very name is taken as it is.
///
/// Source: PEFT `lora/layer.py` (`set_scale`), `lora/model.py` (`add_weighted_adapter` with `cat`, the true sum).
package struct AdapterSum: Equatable, Sendable, CustomStringConvertible {
    package struct Part: Equatable, Sendable {
        package var folder: String
        package let scale: Float
    }

    package private(set) var parts: [Part]

    /// - Parameter scale: a factor of all of it.
    /// - Throws: `LoadError` `.malformed` for an empty path or a factor that is none.
    package init(_ text: String, scale: Float = 1) throws(LoadError) {
        if Self.isThere(text) || !text.contains(where: { $0 == "+" || $0 == "*" }) {
            parts = [Part(folder: text, scale: scale)]
            return
        }
        parts = []
        var rest = text.split(separator: "+", omittingEmptySubsequences: false)[...]
        while !rest.isEmpty {
            let (term, count) = Self.term(of: rest)
            rest = rest.dropFirst(count)
            parts.append(try Self.part(term, of: text, scale: scale))
        }
    }

    /// The longest beginning that names something that is there, with a factor or without; else the first word.
    private static func term(of words: ArraySlice<Substring>) -> (text: String, words: Int) {
        for count in (1...words.count).reversed() {
            let text = words.prefix(count).joined(separator: "+")
            if isThere(text) || isFactored(text) { return (text, count) }
        }
        return (words.first.map(String.init) ?? "", 1)
    }

    /// Whether it is something that is there and a number.
    private static func isFactored(_ text: String) -> Bool {
        guard let star = text.lastIndex(of: "*") else { return false }
        return isThere(String(text[..<star])) && Float(text[text.index(after: star)...]) != nil
    }

    private static func part(_ term: String, of text: String, scale: Float) throws(LoadError) -> Part {
        var (folder, factor) = (term, Float(1))
        if !isThere(term), let star = term.lastIndex(of: "*") {
            folder = String(term[..<star])
            guard let number = Float(term[term.index(after: star)...]), number.isFinite else {
                throw malformed(text, "'\(term)' has no number behind its '*'")
            }
            factor = number
        }
        guard !folder.isEmpty else { throw malformed(text, "a part names no folder") }
        guard (factor * scale).isFinite else { throw malformed(text, "the factor of '\(term)' is too large") }
        return Part(folder: folder, scale: factor * scale)
    }

    /// Whether it is one adapter as it was saved.
    private var isPlain: Bool { parts.count == 1 && parts.allSatisfy { $0.scale == 1 } }

    /// As `init` reads it.
    package var description: String {
        parts.map { part in
            // An exponent's plus would part the sum.
            let scale = "\(part.scale)".filter { $0 != "+" }
            return part.scale == 1 ? part.folder : "\(part.folder)*\(scale)"
        }.joined(separator: "+")
    }

    /// The same sum with its folders named otherwise.
    package func mapFolders<Failure>(
        _ transform: (String) throws(Failure) -> String
    ) throws(Failure) -> AdapterSum {
        var copy = self
        for index in parts.indices { copy.parts[index].folder = try transform(parts[index].folder) }
        return copy
    }

    private static func isThere(_ path: String) -> Bool { !path.isEmpty && Folder(path).isThere }

    private static func malformed(_ text: String, _ problem: String) -> LoadError {
        LoadError(.malformed, file: text, problem, advice: "write PATH*NUMBER, and '+' between several")
    }

    /// Reads its adapters, and adds them up.
    /// - Throws: as `Adapter.init`; `.unsupported` where PEFT has no such sum.
    package func load(
        fitting inventory: ModuleInventory, baseName: String?, isBaseRequired: Bool = false
    ) throws(LoadError) -> Adapter {
        var adapters: [Adapter] = []
        for part in parts {
            let adapter = try Adapter(
                folder: part.folder, fitting: inventory, baseName: baseName, isBaseRequired: isBaseRequired)
            adapters.append(part.scale == 1 ? adapter : try adapter.scaled(by: part.scale))
        }
        guard var result = adapters.first else { throw Self.malformed(description, "it names no folder") }
        if isPlain { return result }
        var hash = SHA256()
        for (adapter, part) in zip(adapters, parts) {
            hash.update(data: Array("\(adapter.digest)*\(part.scale)\n".utf8))
        }
        result.digest = hash.finalize().hexadecimal
        guard adapters.count > 1 else { return result }
        guard adapters.allSatisfy({ $0.vocabularySize == result.vocabularySize }) else {
            throw LoadError(
                .unsupported, file: description,
                "its adapters were trained on vocabularies of different sizes: "
                    + adapters.map { "\($0.vocabularySize)" }.joined(separator: ", "),
                advice: "serve them by themselves")
        }
        result.folders = adapters.map(\.folder)
        result.updates = try Self.sum(adapters)
        result.replacements = try Self.copies(adapters)
        result.warnings = adapters.flatMap(\.warnings)
        return result
    }

    /// The base's own weights, which PEFT saves beside the factors of an embedding or head: one copy is as good as
    /// another, and anything else that takes a weight's place has no sum.
    private static func copies(_ adapters: [Adapter]) throws(LoadError) -> [String: TensorView] {
        var copies: [String: TensorView] = [:]
        for adapter in adapters {
            for (name, tensor) in adapter.replacements {
                let isCopy = name.hasSuffix(".weight") && adapter.updates[String(name.dropLast(7))] != nil
                let isSame = copies[name].map { $0.isIdentical(to: tensor) } ?? true
                let isShared = adapters.allSatisfy { $0.replacements[name]?.isIdentical(to: tensor) == true }
                guard isShared || isCopy && isSame else {
                    throw LoadError(
                        .unsupported, file: tensor.file, field: tensor.name,
                        "it takes the place of a weight of the base, and such weights do not add up",
                        advice: "serve the adapter by itself")
                }
                copies[name] = tensor
            }
        }
        return copies
    }

    /// Factors side by side, the scalings in A.
    private static func sum(_ adapters: [Adapter]) throws(LoadError) -> [String: any WeightUpdate] {
        var sums: [String: [LowRankUpdate]] = [:]
        for adapter in adapters {
            func refusal(_ problem: String, _ advice: String) -> LoadError {
                LoadError(.unsupported, file: adapter.folder, problem, advice: advice)
            }
            guard adapter.tokenRows.isEmpty else {
                throw refusal("it replaces rows of the base, which do not add up", "serve it by itself")
            }
            for (module, update) in adapter.updates {
                guard let update = update as? LowRankUpdate, update.outputBias == nil else {
                    throw refusal("PEFT sums plain LoRA adapters only", "serve it by itself")
                }
                guard update.magnitude == nil else {
                    throw refusal(
                        "the magnitudes of DoRA do not add up: PEFT's sum drops them", "serve it by itself")
                }
                sums[module, default: []].append(update)
            }
        }
        return sums.mapValues { LowRankUpdate(sum: $0) }
    }
}

extension Adapter {
    /// - Throws: `LoadError` `.unsupported` where PEFT scales no such adapter.
    fileprivate func scaled(by factor: Float) throws(LoadError) -> Adapter {
        var copy = self
        for (module, update) in updates {
            guard let scaled = update.scaled(by: factor) else {
                throw LoadError(
                    .unsupported, file: folder, field: module, "PEFT scales no \(update.label)",
                    advice: "serve it without a factor")
            }
            copy.updates[module] = scaled
        }
        return copy
    }
}

extension LowRankUpdate {
    /// One update that adds what several, of the same module and without magnitudes, add.
    fileprivate init(sum updates: [LowRankUpdate]) {
        let rank = updates.reduce(0) { $0 + $1.rank }
        let rows = updates.first.map { $0.b.count / max(1, $0.rank) } ?? 0
        var b: [Float] = []
        b.reserveCapacity(rows * rank)
        for row in 0..<rows {
            for update in updates { b += update.b[row * update.rank..<(row + 1) * update.rank] }
        }
        self.init(
            rank: rank, scaling: 1, a: updates.flatMap { update in update.a.map { $0 * update.scaling } },
            b: b,
            magnitude: nil, outputBias: nil)
    }
}
