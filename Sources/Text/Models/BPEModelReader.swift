/// Reads the `model` of a `tokenizer.json`.
struct BPEModelReader {
    private let file: String
    private var small = JSONObject()
    private var vocabulary: Vocabulary?
    private var merges: [MergeTable.Merge]?
    /// Where the merges stand, if they stand before the vocabulary.
    private var earlyMerges: JSONReader?

    static func read(_ reader: inout JSONReader, file: String) throws -> BPEModel {
        guard try reader.peek() == .object else {
            throw LoadError(
                .malformed, file: file, field: "model", expected: "an object", found: "\(try reader.peek())")
        }
        var model = BPEModelReader(file: file)
        try reader.readObject { key, reader in try model.read(key, &reader) }
        return try model.assemble()
    }

    private init(file: String) { self.file = file }

    private mutating func read(_ key: String, _ reader: inout JSONReader) throws {
        switch key {
        case "vocab":
            guard vocabulary == nil else { throw malformed("vocab", "the key stands twice") }
            guard try reader.peek() == .object else {
                throw malformed("vocab", "expected an object of ids by token, found \(try reader.peek())")
            }
            vocabulary = try readVocabulary(&reader)
        case "merges":
            guard merges == nil, earlyMerges == nil else { throw malformed("merges", "the key stands twice") }
            guard try reader.peek() == .array else {
                throw malformed("merges", "expected an array of pairs, found \(try reader.peek())")
            }
            if let vocabulary {
                merges = try readMerges(&reader, vocabulary)
            } else {
                earlyMerges = reader
                try reader.skipValue()
            }
        default:
            guard small.append(key, try JSONValue(from: &reader)) else {
                throw malformed(key, "the key stands twice")
            }
        }
    }

    private func malformed(_ field: String, _ problem: String) -> LoadError {
        LoadError(.malformed, file: file, field: "model.\(field)", problem)
    }

    private func readVocabulary(_ reader: inout JSONReader) throws -> Vocabulary {
        var vocabulary = Vocabulary()
        try reader.readMembers { token, reader in
            func field() -> String { "vocab[\"\(String(decoding: token, as: UTF8.self))\"]" }
            guard try reader.peek() == .number, let id = try reader.readIndex(), id < Vocabulary.idLimit
            else {
                throw malformed(field(), "expected a whole number from 0 to \(Vocabulary.idLimit - 1)")
            }
            switch vocabulary.insert(token, id: id) {
            case .inserted: break
            case .duplicateToken(let other):
                throw malformed(field(), "the token stands twice, with the ids \(other) and \(id)")
            case .duplicateID: throw malformed(field(), "another token has the id \(id) too")
            }
        }
        return vocabulary
    }

    private func readMerges(
        _ reader: inout JSONReader, _ vocabulary: Vocabulary
    ) throws -> [MergeTable.Merge] {
        var merges: [MergeTable.Merge] = []
        merges.reserveCapacity(vocabulary.count)
        var pair = MergePair()
        try reader.readArray { reader in
            let rank = merges.count
            guard try pair.read(&reader) else {
                throw malformed("merges[\(rank)]", "expected two tokens, as \"a b\" or [\"a\", \"b\"]")
            }
            func known(_ id: Int?, _ range: Range<Int>) throws -> UInt32 {
                if let id { return UInt32(id) }
                let token = String(decoding: pair.text[range], as: UTF8.self)
                throw malformed("merges[\(rank)]", "\"\(token)\" is not in the vocabulary")
            }
            let left = 0..<pair.boundary, right = pair.boundary..<pair.text.count
            let guess = merges.last.map { Int($0.result) + 1 } ?? 0
            merges.append(
                MergeTable.Merge(
                    left: try known(vocabulary.id(of: pair.text, left), left),
                    right: try known(vocabulary.id(of: pair.text, right), right), rank: UInt32(rank),
                    result: try known(vocabulary.id(of: pair.text, guess: guess), pair.text.indices)))
        }
        return merges
    }

    private mutating func assemble() throws -> BPEModel {
        let component = try JSONComponent(.object(small), file: file, path: "model")
        // Old files do not name the type; only BPE is read, whatever else they might hold.
        if small["type"] != nil, try component.string("type") != "BPE" {
            throw component.unsupported("type", "the model \(try component.string("type")) is not supported")
        }
        guard let vocabulary else { throw malformed("vocab", "expected ids by token, found nothing") }
        if var earlyMerges { merges = try readMerges(&earlyMerges, vocabulary) }
        guard let merges else { throw malformed("merges", "expected an array of pairs, found nothing") }
        return BPEModel(
            vocabulary: vocabulary, merges: merges, options: try options(component, vocabulary))
    }

    private func options(
        _ component: JSONComponent, _ vocabulary: Vocabulary
    ) throws(LoadError) -> BPEModel.Options {
        for key in ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] {
            if let value = component.object[key], !value.isFalsy {
                throw component.unsupported(key, "\(value) is not supported")
            }
        }
        var options = BPEModel.Options()
        options.fusesUnknown = try component.bool("fuse_unk", absent: false)
        options.byteFallback = try component.bool("byte_fallback", absent: false)
        options.ignoresMerges = try component.bool("ignore_merges", absent: false)
        if let token = component.object["unk_token"], token != .null {
            options.unknown = vocabulary.id(of: try component.bytes("unk_token"))
            guard options.unknown != nil else {
                throw component.error(.malformed, "unk_token", expected: "a token of the vocabulary")
            }
        }
        return options
    }
}

/// The two tokens of a merge, end to end in a buffer that is reused.
private struct MergePair {
    private(set) var text: [UInt8] = []
    private(set) var boundary = 0

    /// Reads one merge in either spelling; false if it is neither.
    mutating func read(_ reader: inout JSONReader) throws -> Bool {
        text.removeAll(keepingCapacity: true)
        switch try reader.peek() {
        case .array: return try readPair(&reader)
        case .string:
            try reader.readString(into: &text)
            guard let space = text.firstIndex(of: UInt8(ascii: " ")) else { return false }
            boundary = space
            text.remove(at: space)
            return !text.contains(UInt8(ascii: " "))
        default: return false
        }
    }

    private mutating func readPair(_ reader: inout JSONReader) throws -> Bool {
        var count = 0
        var isSound = true
        try reader.readArray { reader in
            count += 1
            guard count <= 2, try reader.peek() == .string else {
                isSound = false
                return try reader.skipValue()
            }
            try reader.readString(into: &text)
            if count == 1 { boundary = text.count }
        }
        return isSound && count == 2
    }
}
