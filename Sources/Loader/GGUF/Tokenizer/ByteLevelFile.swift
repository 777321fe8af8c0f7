import DoraText

/// A `tokenizer.json` of a byte-level BPE, made of a GGUF file's tokens and merges.
struct ByteLevelFile {
    private let vocabulary: GGUFVocabulary
    private let cutting: TextCutting
    private let before: Int?
    private let after: Int?

    /// - Parameters:
    ///   - before: token put before each text.
    ///   - after: token put behind it.
    init(_ vocabulary: GGUFVocabulary, cutting: TextCutting, before: Int?, after: Int?) {
        self.vocabulary = vocabulary
        self.cutting = cutting
        self.before = before
        self.after = after
    }

    func bytes() throws(LoadError) -> [UInt8] {
        let key = GGUFVocabulary.prefix + "merges"
        guard let merges = try vocabulary.file.strings(key) else { throw vocabulary.file.missing(key) }
        var text: [UInt8] = []
        text.reserveCapacity(32 * (vocabulary.tokens.count + merges.count))
        text += #"{"version":"1.0","added_tokens":["#.utf8
        var isFirst = true
        for (id, token) in vocabulary.tokens.enumerated() where vocabulary.kinds[id].isAdded {
            text += "\(isFirst ? "" : ",")\n{\"id\":\(id),\"content\":".utf8
            Self.append(token, to: &text)
            let isSpecial = vocabulary.kinds[id] != .userDefined
            text +=
                #","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":\#(isSpecial)}"#
                .utf8
            isFirst = false
        }
        text += "],\n\"normalizer\":null,\n\"pre_tokenizer\":\(preTokenizer.text),\n".utf8
        text += "\"post_processor\":\(postProcessor.text),\n\"decoder\":\(Self.byteLevel.text),\n".utf8
        text += "\"model\":{\"type\":\"BPE\",\"ignore_merges\":\(cutting.ignoresMerges),\"vocab\":{".utf8
        for (id, token) in vocabulary.tokens.enumerated() {
            text += id == 0 ? "\n".utf8 : ",\n".utf8
            Self.append(token, to: &text)
            text += ":\(id)".utf8
        }
        text += "},\"merges\":[".utf8
        for (rank, merge) in merges.enumerated() {
            text += rank == 0 ? "\n".utf8 : ",\n".utf8
            try append(merge: merge, rank: rank, to: &text)
        }
        text += "]}}\n".utf8
        return text
    }

    /// As a pair, because a token may hold a space: what divides the two is the first one behind the first byte.
    private func append(merge: [UInt8], rank: Int, to text: inout [UInt8]) throws(LoadError) {
        guard let space = merge.dropFirst().firstIndex(of: UInt8(ascii: " ")),
            String(validating: merge, as: UTF8.self) != nil
        else {
            throw LoadError(
                .malformed, file: vocabulary.file.path, field: "\(GGUFVocabulary.prefix)merges[\(rank)]",
                "expected two tokens with a space between them, in UTF-8", advice: "convert the model again")
        }
        text.append(UInt8(ascii: "["))
        Self.append(Array(merge[..<space]), to: &text)
        text.append(UInt8(ascii: ","))
        Self.append(Array(merge[(space + 1)...]), to: &text)
        text.append(UInt8(ascii: "]"))
    }

    /// A JSON string.
    private static func append(_ string: [UInt8], to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case ..<0x20:
                let digits = String(byte, radix: 16)
                text += "\\u\(digits.count == 1 ? "000" : "00")\(digits)".utf8
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    private static let byteLevel = object(
        ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("trim_offsets", .bool(true)),
        ("use_regex", .bool(false)))

    /// Each pattern cuts what the ones before it have left.
    private var preTokenizer: JSONValue {
        let splits = cutting.patterns.map { pattern in
            Self.object(
                ("type", .string("Split")), ("pattern", Self.object(("Regex", .string(pattern)))),
                ("behavior", .string("Isolated")), ("invert", .bool(false)))
        }
        return Self.object(
            ("type", .string("Sequence")), ("pretokenizers", .array(splits + [Self.byteLevel])))
    }

    private var postProcessor: JSONValue {
        if before == nil && after == nil { return .null }
        func token(_ id: Int) -> JSONValue {
            Self.object(("SpecialToken", Self.object(("id", .string("\(id)")), ("type_id", .integer(0)))))
        }
        var single: [JSONValue] = []
        var tokens = Members()
        if let before { single.append(token(before)) }
        single.append(Self.object(("Sequence", Self.object(("id", .string("A")), ("type_id", .integer(0))))))
        if let after { single.append(token(after)) }
        for id in [before, after].compactMap({ $0 }) {
            tokens["\(id)"] = Self.object(
                ("id", .string("\(id)")), ("ids", .array([.integer(id)])),
                ("tokens", .array([.string("\(id)")])))
        }
        return Self.object(
            ("type", .string("TemplateProcessing")), ("single", .array(single)),
            ("special_tokens", tokens.value))
    }

    private static func object(_ pairs: (String, JSONValue)...) -> JSONValue {
        var members = Members()
        for (key, value) in pairs { members[key] = value }
        return members.value
    }
}
