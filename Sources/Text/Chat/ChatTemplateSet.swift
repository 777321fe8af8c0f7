/// The templates that a model brings: one, or several with names.
package struct ChatTemplateSet: Sendable {
    /// In the order of the file.
    package let templates: [(name: String, source: String)]

    package init(_ source: String) { self.init(named: [("default", source)]) }

    private init(named templates: [(name: String, source: String)]) { self.templates = templates }

    /// `chat_template` of `tokenizer_config.json`: a string, or a list of `{"name", "template"}`, or an object of
    /// templates by name. Nil for anything else.
    package init?(_ value: JSONValue) {
        switch value {
        case .string(let source): self.init(source)
        case .array(let entries):
            var templates: [(name: String, source: String)] = []
            for entry in entries {
                guard let name = entry.object?["name"]?.string, let source = entry.object?["template"]?.string
                else {
                    return nil
                }
                templates.append((name, source))
            }
            self.init(named: templates)
        case .object(let object):
            var templates: [(name: String, source: String)] = []
            for (name, value) in object.members {
                guard let source = value.string else { return nil }
                templates.append((name, source))
            }
            self.init(named: templates)
        default: return nil
        }
    }

    /// `tool_use` if there are tools and such a template, else `default`; nil if there is none.
    package func choose(hasTools: Bool) -> String? {
        func named(_ name: String) -> String? { templates.last { $0.name == name }?.source }
        return (hasTools ? named("tool_use") : nil) ?? named("default")
    }
}

/// The special tokens that a tokenizer names, as templates see them.
package enum SpecialTokens {
    package static let names = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    /// From `tokenizer_config.json` or `special_tokens_map.json`, where a token is a string or `{"content"}`.
    package static func tokens(in object: JSONObject) -> [String: String] {
        var tokens: [String: String] = [:]
        for name in names {
            if let token = object[name]?.string ?? object[name]?.object?["content"]?.string {
                tokens[name] = token
            }
        }
        return tokens
    }
}
