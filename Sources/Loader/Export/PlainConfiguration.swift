package import DoraTensor
package import DoraText

/// `config.json` of a model in floats that only reads text, made of its base's: transformers builds the same model of it.
package struct PlainConfiguration: Sendable {
    package let json: JSONObject
    /// The file as it is read again.
    let configuration: ModelConfiguration

    /// - Parameters:
    ///   - inventory: whose vocabulary the model has.
    ///   - sharesHead: whether head and embedding are one matrix.
    /// - Throws: `LoadError` `.unsupported` for a base that no such file stands for.
    package init(
        _ files: ModelFiles, vocabularySize: Int, sharesHead: Bool, elementType: ElementType
    ) throws(LoadError) {
        let name = "config.json"
        guard let bytes = try files.bytes(of: name, atMost: ModelConfiguration.Limit.fileBytes) else {
            throw files.noConfiguration(name)
        }
        let text = try TextPart(JSONFields(parsing: bytes, file: files.path(of: name)))
        let base = try ModelConfiguration(files)
        guard
            let family = ModelFamily.all.first(where: { $0.type == text.family.plainType ?? text.family.type }
            )
        else { throw Self.refusal(of: text) }
        var json = text.plainObject.without("quantization_config", "compression_config", "auto_map")
        json = json.with("architectures", .array(family.architectures.prefix(1).map { .string($0) }))
            .with("model_type", .string(family.type))
        if family.type != text.family.type { json = json.spellingOut(base) }
        if base.vocabularySize != vocabularySize || json["vocab_size"] == nil {
            json = json.with("vocab_size", .integer(vocabularySize))
        }
        json = json.with("tie_word_embeddings", .bool(sharesHead)).with(elementType: elementType)
        self.json = json
        configuration = try ModelConfiguration(
            parsing: Array(JSONValue.object(json).text.utf8), file: files.path(of: name))
        var expected = base
        expected.family = family
        expected.isMultimodal = false
        expected.vocabularySize = vocabularySize
        expected.tiesWordEmbeddings = sharesHead
        expected.elementType = elementType
        expected.quantization = nil
        let names = ModuleInventory(base).resized(vocabularySize: vocabularySize).modules
        guard configuration == expected, ModuleInventory(configuration).modules == names else {
            throw Self.refusal(of: text)
        }
    }

    private static func refusal(of text: TextPart) -> LoadError {
        LoadError(
            .unsupported, file: text.outer.file, field: "model_type",
            "the text part of such a \(text.multimodal?.type ?? text.family.type) is no model that transformers has by itself",
            advice: "serve it with dora-serve instead")
    }
}

extension TextPart {
    /// The members that describe the language model, with those of the outer part that go for it.
    fileprivate var plainObject: JSONObject {
        guard let multimodal else { return outer.object }
        var object = fields.object
        if fields.object == outer.object {
            object = JSONObject(
                object.members.filter { member in
                    !["vision_", "image_", "video_"].contains { member.key.hasPrefix($0) }
                })
        }
        for key in ["bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"] {
            // What ends a text is the outer part's affair; the rest stands where it stands.
            guard let value = outer[key], key == "eos_token_id" || fields[key] == nil else { continue }
            object = object.with(key, value)
        }
        // The model around it does not apply the cap.
        if !multimodal.capsLogits, object["final_logit_softcapping"] != nil {
            object = object.with("final_logit_softcapping", .null)
        }
        return object
    }
}

extension JSONObject {
    /// The type under the key that the file has for it, else under transformers 5's.
    fileprivate func with(elementType: ElementType) -> JSONObject {
        let name =
            switch elementType {
            case .f16: "float16"
            case .bf16: "bfloat16"
            default: "float32"
            }
        let keys = ["torch_dtype", "dtype"].filter { self[$0] != nil }
        return (keys.isEmpty ? ["dtype"] : keys).reduce(self) { $0.with($1, .string(name)) }
    }

    /// With values for the keys whose absence means something else in another family.
    fileprivate func spellingOut(_ base: ModelConfiguration) -> JSONObject {
        var object = self
        for key in ["rope_scaling", "rope_parameters"] {
            guard let rope = object[key]?.object else { continue }
            // One position in all directions, as text has it.
            var plain = rope.without("mrope_section", "mrope_interleaved")
            for key in ["type", "rope_type"] where plain[key] == .string("mrope") {
                plain = plain.with(key, .string("default"))
            }
            object = object.with(key, .object(plain))
        }
        let theta = object["rope_parameters"]?.object?["rope_theta"]
        var defaults: [(key: String, value: JSONValue)] = [
            ("num_key_value_heads", .integer(base.keyValueHeads)), ("head_dim", .integer(base.headSize)),
            ("max_position_embeddings", .integer(base.maximumPositions)),
            ("rms_norm_eps", .decimal(Double(base.norm.epsilon))),
            ("eos_token_id", .array(base.eosIDs.map { .integer($0) })),
        ]
        if theta == nil, let rope = base.ropes.first { defaults.append(("rope_theta", .decimal(rope.theta))) }
        for (key, value) in defaults where object[key] == nil { object = object.with(key, value) }
        return object
    }
}
