/// What `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` say of a tokenizer beside its
/// vocabulary.
///
/// Source: transformers `tokenization_utils_base.py`, `_from_pretrained`: the other two files count, and win, only where the
/// configuration has no `added_tokens_decoder`.
package struct TokenizerConfiguration: Sendable {
    /// A token that is to be found in texts, and the id that a file gives it.
    struct DeclaredToken {
        var token: AddedTokens.Token
        let id: Int?
        let file: String
        let field: String
    }

    /// The tokens with a role, in the order in which the reference adds them.
    static let roles = SpecialTokens.names

    package let fields: JSONFields
    /// Whether the files say nothing of tokens: there is none, or only `add_bos_token`.
    package let isBare: Bool
    /// By role: what the vocabulary itself has, for files that say nothing of the role.
    var defaults: [String: [UInt8]] = [:]
    private let specialTokens: JSONFields?
    private let addedTokens: JSONFields?

    /// - Parameters:
    ///   - fields: `tokenizer_config.json`; empty where there is none.
    ///   - specialTokens: `special_tokens_map.json`.
    ///   - addedTokens: `added_tokens.json`.
    package init(_ fields: JSONFields, specialTokens: JSONFields? = nil, addedTokens: JSONFields? = nil) {
        let isComplete = Self.listsTokens(fields)
        self.fields = fields
        self.specialTokens = isComplete ? nil : specialTokens
        self.addedTokens = isComplete ? nil : addedTokens
        isBare =
            self.specialTokens == nil && self.addedTokens == nil
            && fields.object.members.allSatisfy { $0.key == "add_bos_token" }
    }

    /// Whether a configuration lists all tokens itself, so that the other two files do not count.
    package static func listsTokens(_ fields: JSONFields) -> Bool { fields["added_tokens_decoder"] != nil }

    /// The text of the token with a role, as `eos_token`; nil where no file names one.
    package func token(_ role: String) throws(LoadError) -> String? {
        try roleToken(role).map { String(decoding: $0.token.content, as: UTF8.self) }
    }

    private func roleToken(_ role: String) throws(LoadError) -> DeclaredToken? {
        for fields in [specialTokens, fields] {
            guard let fields, fields.object[role] != nil else { continue }
            // Null: there is none.
            return try fields[role].map { value throws(LoadError) in
                try Self.special(value, fields, role)
            }
        }
        guard let content = defaults[role] else { return nil }
        return Self.special(content, fields, role)
    }

    private static func special(_ content: [UInt8], _ fields: JSONFields, _ field: String) -> DeclaredToken {
        DeclaredToken(
            token: AddedTokens.Token(id: 0, content: content, isSpecial: true), id: nil, file: fields.file,
            field: fields.path(field))
    }

    /// A special token: its text, or an object.
    private static func special(
        _ value: JSONValue, _ fields: JSONFields, _ field: String
    ) throws(LoadError) -> DeclaredToken {
        if let text = value.string { return special(Array(text.utf8), fields, field) }
        guard let object = value.object else {
            throw fields.mismatch(field, expected: "a string or an object", value)
        }
        var declared = try declared(
            JSONFields(object, file: fields.file, prefix: "\(fields.path(field))."), id: nil)
        declared.token.isNormalized = object["normalized"]?.bool ?? false
        declared.token.isSpecial = true
        return declared
    }

    private static func declared(_ fields: JSONFields, id: Int?) throws(LoadError) -> DeclaredToken {
        guard let content = try fields.string("content") else { throw fields.missing("content") }
        let isSpecial = try fields.bool("special") ?? false
        return DeclaredToken(
            token: AddedTokens.Token(
                id: 0, content: Array(content.utf8), isSingleWord: try fields.bool("single_word") ?? false,
                stripsLeft: try fields.bool("lstrip") ?? false,
                stripsRight: try fields.bool("rstrip") ?? false,
                isNormalized: try fields.bool("normalized") ?? !isSpecial, isSpecial: isSpecial),
            id: id, file: fields.file, field: fields.path("content"))
    }

    /// All tokens that the files declare, in the order in which the reference adds them: those with ids by their ids, then
    /// those with a role, then the other special ones.
    /// - Parameter others: the last, where no file lists any.
    func declaredTokens(others: [AddedTokens.Token]) throws(LoadError) -> [DeclaredToken] {
        var named = try namedTokens()
        let special = Set(named.map(\.token.content))
        named +=
            try listedTokens()
            ?? others.map {
                DeclaredToken(token: $0, id: nil, file: fields.file, field: "added_tokens_decoder")
            }
        let listed = Set(named.lazy.filter(\.token.isSpecial).map(\.token.content))
        var tokens = try tokensWithIDs(special: special, listed: listed)
            .sorted { ($0.id ?? 0) < ($1.id ?? 0) }
        var known = Set(tokens.map(\.token.content))
        for token in named where known.insert(token.token.content).inserted { tokens.append(token) }
        return tokens
    }

    /// Tokens with a role, in the order in which the reference adds them: those of every model, then those that only
    /// some have, by keys of their own or in a table of roles. What `special_tokens_map.json` says of a role wins.
    func namedTokens() throws(LoadError) -> [DeclaredToken] {
        var tokens: [DeclaredToken] = []
        for role in Self.roles {
            if let token = try roleToken(role) { tokens.append(token) }
        }
        var keys: [String] = []
        var others: [String: DeclaredToken] = [:]
        func note(_ key: String, _ token: DeclaredToken) {
            if others.updateValue(token, forKey: key) == nil { keys.append(key) }
        }
        let files = [fields, specialTokens].compactMap { $0 }
        for fields in files {
            for (key, value) in fields.object.members
            where key.hasSuffix("_token") && !Self.roles.contains(key) {
                let isWritten = value.object?["__type"]?.string == "AddedToken"
                let isToken =
                    value.string != nil || isWritten
                    || (fields.file == specialTokens?.file && value.object != nil)
                if isToken { note(key, try Self.special(value, fields, key)) }
            }
        }
        for fields in files {
            for (key, value) in fields["extra_special_tokens"]?.object?.members ?? [] {
                note(key, try Self.special(value, fields, "extra_special_tokens.\(key)"))
            }
        }
        return tokens + keys.compactMap { others[$0] }
    }

    /// Nil where no list is given. `additional_special_tokens` of `special_tokens_map.json` counts only where the
    /// configuration has no list at all.
    private func listedTokens() throws(LoadError) -> [DeclaredToken]? {
        let names = ["extra_special_tokens", "additional_special_tokens"]
        let lists = names.filter { fields[$0]?.array != nil }
        let own = lists.first { fields[$0]?.array?.isEmpty == false } ?? lists.first
        let more = lists.isEmpty && specialTokens?[names[0]]?.array == nil ? names[1] : names[0]
        var tokens: [DeclaredToken]?
        for (fields, key) in [(fields, own), (specialTokens, more)] {
            guard let fields, let key, let values = fields[key]?.array else { continue }
            var listed = tokens ?? []
            for (index, value) in values.enumerated() {
                listed.append(try Self.special(value, fields, "\(key)[\(index)]"))
            }
            tokens = listed
        }
        return tokens
    }

    /// - Parameters:
    ///   - special: the tokens with a role.
    ///   - listed: these and the other special ones.
    private func tokensWithIDs(
        special: Set<[UInt8]>, listed: Set<[UInt8]>
    ) throws(LoadError) -> [DeclaredToken] {
        let ids = 0...Vocabulary.idLimit - 1
        var tokens: [DeclaredToken] = []
        if let entries = try fields.fields("added_tokens_decoder") {
            for (key, _) in entries.object.members {
                guard let id = Int(key), ids.contains(id), let token = try entries.fields(key) else {
                    throw LoadError(
                        .malformed, file: entries.file, field: entries.path(key),
                        "expected a token under an id below \(Vocabulary.idLimit)")
                }
                var declared = try Self.declared(token, id: id)
                if special.contains(declared.token.content) { declared.token.isSpecial = true }
                tokens.append(declared)
            }
        } else if let addedTokens {
            for (text, _) in addedTokens.object.members {
                let content = Array(text.utf8)
                let isSpecial = listed.contains(content)
                tokens.append(
                    DeclaredToken(
                        token: AddedTokens.Token(
                            id: 0, content: content, isNormalized: !isSpecial, isSpecial: isSpecial),
                        id: try addedTokens.requiredInt(text, in: ids), file: addedTokens.file,
                        field: addedTokens.path(text)))
            }
        }
        return tokens
    }
}

extension AddedTokens {
    /// Adds those that are not there yet, by their spellings. The reference ignores the ids that the files give: a token
    /// that the vocabulary has keeps its id, any other gets the next free one. Files in which that differs from what they
    /// say are refused.
    mutating func add(
        _ declared: [TokenizerConfiguration.DeclaredToken], vocabulary: Vocabulary, normalizer: Normalizer?
    ) throws(LoadError) {
        var next = vocabulary.size
        for declaration in declared where !declaration.token.content.isEmpty {
            let id = vocabulary.id(of: declaration.token.content) ?? next
            if id == next { next += 1 }
            guard declaration.id ?? id == id else {
                throw LoadError(
                    .malformed, file: declaration.file, field: declaration.field,
                    expected: "the id \(id), which the reference library gives it",
                    found: declaration.id.map { "\($0)" } ?? "nothing",
                    advice: "save the tokenizer again with transformers, or add a tokenizer.json")
            }
            try add(declaration, id: id, normalizer: normalizer)
        }
    }

    /// Adds those that a configuration declares to those of the tokenizer's own file, whose ids stand.
    /// - Parameters:
    ///   - configuration: replaces what the file says of tokens that it lists itself; those with a role are special anyway.
    mutating func add(
        _ configuration: TokenizerConfiguration, vocabulary: Vocabulary, normalizer: Normalizer?
    ) throws(LoadError) {
        let declared = try configuration.declaredTokens(others: [])
        let replaces = TokenizerConfiguration.listsTokens(configuration.fields)
        let special = Set(try configuration.namedTokens().map(\.token.content))
        let listed = declared.reduce(into: [[UInt8]: TokenizerConfiguration.DeclaredToken]()) {
            if $1.id != nil, replaces { $0[$1.token.content] = $1 }
        }
        var all = AddedTokens()
        // What was special stays so.
        all.specialSpellings = specialSpellings
        for token in tokens {
            if let declaration = listed[token.content] {
                try all.add(declaration, id: token.id, normalizer: normalizer)
            } else {
                var token = token
                token.isSpecial = token.isSpecial || special.contains(token.content)
                _ = all.add(token, normalizer: normalizer)
            }
        }
        var next = (tokens.map { $0.id + 1 } + [vocabulary.size]).max() ?? 0
        var contents = Set(tokens.map(\.content))
        for declaration in declared
        where !declaration.token.content.isEmpty && contents.insert(declaration.token.content).inserted {
            let known = vocabulary.id(of: declaration.token.content)
            try all.add(declaration, id: known ?? next, normalizer: normalizer)
            if known == nil { next += 1 }
        }
        self = all
    }

    private mutating func add(
        _ declaration: TokenizerConfiguration.DeclaredToken, id: Int, normalizer: Normalizer?
    ) throws(LoadError) {
        var token = declaration.token
        token.id = id
        if let clash = add(token, normalizer: normalizer) {
            throw LoadError(
                .malformed, file: declaration.file, field: declaration.field,
                "another added token has the same \(clash)")
        }
    }
}
