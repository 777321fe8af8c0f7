/// How a byte-level tokenizer cuts a text before its merges, by the name that GGUF files have for it
/// (`tokenizer.ggml.pre`).
///
/// Source: the models' own `tokenizer.json`; llama.cpp `llama-vocab.cpp` for which name means which. The two differ in one
/// point, in which the models are followed: an apostrophe and U+017F, the long s, are a contraction.
struct TextCutting: Sendable {
    /// Each cuts what the ones before it have left.
    let patterns: [String]
    /// A word that is a token as a whole is that token, whatever the merges say.
    var ignoresMerges = false
    /// Whether BOS is put before a text in files that do not say.
    var addsBOS = false

    static func named(_ name: String) -> TextCutting? { byName[name] }

    static var names: Set<String> { Set(byName.keys) }

    /// A name for tokenizers that cut so, the commonest where there are several.
    static func name(patterns: [String], ignoresMerges: Bool) -> String? {
        table.first { $0.0.patterns == patterns && $0.0.ignoresMerges == ignoresMerges }?.1.first
    }

    private static let byName = Dictionary(
        uniqueKeysWithValues: table.flatMap { cutting, names in names.map { ($0, cutting) } })

    private static let table: [(TextCutting, [String])] = [
        (
            TextCutting(patterns: [threeDigits], ignoresMerges: true, addsBOS: true),
            ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"]
        ),
        (TextCutting(patterns: [threeDigits]), ["dbrx", "smaug-bpe", "chatglm-bpe"]),
        (TextCutting(patterns: [threeDigits], ignoresMerges: true), ["glm4", "glm5"]),
        (
            TextCutting(patterns: [oneDigit]),
            [
                "qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan", "solar-open",
                "grok-2",
            ]
        ),
        (TextCutting(patterns: [qwen35]), ["qwen35"]),
        (TextCutting(patterns: [seedCoder]), ["seed-coder"]),
        (
            TextCutting(patterns: [gpt2]),
            [
                "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "a.x-4.0",
                "mellum",
                "granite-docling",
            ]
        ),
        (
            TextCutting(patterns: [digit, gpt2]),
            [
                "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
                "mellum2",
            ]
        ),
        (
            TextCutting(patterns: [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"]), ["falcon"]
        ),
        (
            TextCutting(patterns: [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
            ["default"]
        ),
        (TextCutting(patterns: [tekken], ignoresMerges: true, addsBOS: true), ["tekken"]),
        (TextCutting(patterns: [gpt4o]), ["gpt-4o", "llama4", "kanana2", "minimax-m2"]),
        (
            TextCutting(patterns: [#"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+", deepSeek]),
            ["deepseek-v3", "hunyuan-dense", "joyai-llm"]
        ),
        (TextCutting(patterns: [#" ?[^(\s|.,!?…。，、।۔،)]+"#]), ["bloom", "poro-chat", "gpt3-finnish"]),
        (TextCutting(patterns: [#" ?[^(\s|.,!?…。，、।۔،)]+"#, #"\p{N}"#]), ["viking"]),
    ]

    static let digit = #"\p{N}"#
    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let spaces = #"\s+(?!\S)|\s+"#

    static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|"# + spaces

    /// GPT-4's, with numbers as Llama 3 and as Qwen cut them.
    private static func gpt4(_ numbers: String) -> String {
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|"# + numbers + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"#
            + spaces
    }

    private static let threeDigits = gpt4(#"\p{N}{1,3}"#)
    private static let oneDigit = gpt4(#"\p{N}"#)

    /// Marks belong to words.
    private static let qwen35 =
        contractions + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|"#
        + spaces

    private static let seedCoder =
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|"# + spaces

    private static let capitals = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
    private static let small = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#

    /// Words are cut where a capital follows a small letter.
    private static func cased(_ ending: String, numbers: String) -> String {
        let first = #"[^\r\n\p{L}\p{N}]?"#
        return "\(first)\(capitals)*\(small)+\(ending)|\(first)\(capitals)+\(small)*\(ending)|\(numbers)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|"# + spaces
    }

    private static let tekken = cased("", numbers: #"\p{N}"#)
    private static let gpt4o = cased(contractions + "?", numbers: #"\p{N}{1,3}"#)

    private static let deepSeek =
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"##
        + #" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|"# + spaces
}
