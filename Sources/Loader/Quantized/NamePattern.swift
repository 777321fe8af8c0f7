import DoraText

/// A regular expression of `quantization_config` that names modules, as Python's `re.match` reads it: it need not match to
/// the end of the name.
struct NamePattern: Equatable, Sendable {
    let text: String
    private let pattern: ModulePattern

    /// - Throws: `LoadError` `.malformed` naming the key if it is none.
    init(_ text: String, _ fields: JSONFields, key: String) throws(LoadError) {
        self.text = text
        do {
            pattern = try ModulePattern(text)
        } catch {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path(key),
                "\(JSONValue.string(text)) is no usable regular expression: \(error.problem)",
                advice: "correct the configuration")
        }
    }

    func matches(_ module: String) -> Bool { pattern.matchesStart(of: module) }

    static func == (a: Self, b: Self) -> Bool { a.text == b.text }
}

extension Set<String> {
    /// What AutoRound, which writes the formats of others, says of how it found the codes.
    static let ofAutoRound: Set<String> = [
        "amp", "autoround_version", "backend", "batch_size", "data_type", "dataset", "enable_minmax_tuning",
        "enable_norm_bias_tuning", "enable_quanted_input", "gradient_accumulate_steps", "iters",
        "low_gpu_mem_usage", "lr", "minmax_lr", "nsamples", "provider", "quant_block_list", "scale_dtype",
        "seqlen", "to_quant_block_names", "train_bs",
    ]
}

extension JSONFields {
    /// Refuses a key that is not known and says something: it may change the weights.
    func refuseOthers(than known: Set<String>) throws(LoadError) {
        for (key, value) in object.members where !known.contains(key) && !value.isFalsy {
            throw unsupported(
                key, "an unknown setting, \(value), may change the weights",
                advice: "remove the key if it says nothing of how weights are stored")
        }
    }
}
