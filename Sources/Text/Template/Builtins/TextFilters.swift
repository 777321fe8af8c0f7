/// The filters that make text.
extension Renderer {
    func applyTextFilter(
        _ filter: Filter, _ value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue? {
        let name = filter.rawValue
        /// The value as text, marked if it was.
        func soft() throws -> (String, TemplateValue) {
            let text = try Representation.string(value, budget)
            try budget.charge(text.utf8.count >> 3)
            return (text, value.isMarkup ? value : .string(text))
        }
        switch filter {
        case .tojson: return .string(try toJSON(value, arguments))
        case .string:
            _ = try arguments.positionalOnly(0...0, name)
            return try soft().1
        case .safe:
            _ = try arguments.positionalOnly(0...0, name)
            return .markup(try soft().0)
        case .escape, .e:
            _ = try arguments.positionalOnly(0...0, name)
            return value.isMarkup ? value : .markup(HTML.escape(try soft().0))
        case .forceescape:
            _ = try arguments.positionalOnly(0...0, name)
            return .markup(HTML.escape(try soft().0))
        case .upper, .lower, .capitalize, .title:
            _ = try arguments.positionalOnly(0...0, name)
            let (text, kind) = try soft()
            switch filter {
            case .upper: return kind.sameKind(PythonText.upper(text))
            case .lower: return kind.sameKind(PythonText.lower(text))
            case .capitalize: return kind.sameKind(PythonText.capitalize(text))
            default: return .string(Self.titled(text))
            }
        case .trim:
            let characters = try arguments.bound(to: ["chars"], name)[0]
            let (text, kind) = try soft()
            if let characters, !characters.isNone {
                guard let set = characters.text else {
                    throw Failure.type("strip arg must be None or str, not \(characters.typeName)")
                }
                return kind.sameKind(PythonText.strip(text, set))
            }
            return kind.sameKind(PythonText.strip(text))
        case .replace:
            let values = try arguments.bound(to: ["old", "new", "count"], required: 2, name)
            let limit = values[2].flatMap { $0.isNone ? nil : $0 }
            return .string(
                try replace(
                    soft().0, Representation.string(values[0] ?? .none, budget),
                    with: Representation.string(values[1] ?? .none, budget),
                    limit: integer(limit, default: -1)))
        case .indent: return try indent(value, arguments)
        case .center:
            let width = try integer(arguments.bound(to: ["width"], name)[0], default: 80)
            let (text, kind) = try soft()
            try budget.charge(bytes: width)
            return kind.sameKind(PythonText.padded(text, to: width, fill: " ", .both))
        case .format:
            let (text, kind) = try soft()
            if !arguments.positional.isEmpty, !arguments.keywords.isEmpty {
                throw Failure.type("can't handle positional and keyword arguments at the same time")
            }
            var dict = TemplateDict.Builder()
            for (name, value) in arguments.keywords { dict.set(name, value) }
            let values: PercentFormat.Values =
                arguments.keywords.isEmpty ? .list(arguments.positional) : .single(.dict(dict.dict))
            return kind.sameKind(try PercentFormat.apply(text, values, isMarkup: kind.isMarkup, self))
        case .truncate: return try truncate(value, arguments)
        case .wordcount:
            var count = 0
            var inWord = false
            for scalar in try soft().0.unicodeScalars {
                let isWord = scalar == "_" || scalar.isLetter || scalar.properties.numericType != nil
                if isWord, !inWord { count += 1 }
                inWord = isWord
            }
            return .int(count)
        case .urlencode: return .string(try urlEncode(value))
        case .xmlattr: return .string(try xmlAttributes(value, arguments))
        case .striptags: return .string(Self.withoutTags(try soft().0))
        case .pprint:
            _ = try arguments.bound(to: [], name)
            return .string(try Representation.pretty(value, budget))
        case .urlize, .wordwrap, .random: throw Failure.type("the filter '\(name)' is not supported")
        default: return nil
        }
    }

    /// A capital after white space, hyphens and opening brackets; all other letters small.
    private static func titled(_ text: String) -> String {
        var result = ""
        var word: [Unicode.Scalar] = []
        func end() {
            if let first = word.first {
                result += PythonText.upper(String(first)) + PythonText.lower(String(word.dropFirst()))
            }
            word = []
        }
        for scalar in text.unicodeScalars {
            if scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar) {
                end()
                result.unicodeScalars.append(scalar)
            } else {
                word.append(scalar)
            }
        }
        end()
        return result
    }

    private func indent(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.bound(to: ["width", "first", "blank"], "indent")
        guard let text = value.text else {
            if case .undefined(let undefined) = value { throw undefined.failure }
            throw Failure.type("unsupported operand type(s) for +=: '\(value.typeName)' and 'str'")
        }
        let margin: String
        if let string = values[0]?.text {
            margin = string
        } else {
            let width = max(try integer(values[0], default: 4), 0)
            try budget.charge(bytes: width)
            margin = String(repeating: " ", count: width)
        }
        var lines = PythonText.lines(text + "\n")
        try budget.charge(
            bytes: text.utf8.count
                + lines.count.multipliedReportingOverflow(by: margin.utf8.count).partialValue)
        let blank = values[2]?.isTrue ?? false
        for index in lines.indices.dropFirst() where blank || !lines[index].isEmpty {
            lines[index] = margin + lines[index]
        }
        return value.sameKind(((values[1]?.isTrue ?? false) ? margin : "") + lines.joined(separator: "\n"))
    }

    private func truncate(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.bound(to: ["length", "killwords", "end", "leeway"], "truncate")
        let length = try integer(values[0], default: 255)
        let end = values[2]?.text ?? "..."
        let leeway = try integer(values[3].flatMap { $0.isNone ? nil : $0 }, default: 5)
        let endCount = end.codePointCount
        if length < endCount { throw Failure.type("expected length >= \(endCount), got \(length)") }
        if leeway < 0 { throw Failure.type("expected leeway >= 0, got \(leeway)") }
        guard let text = value.text else {
            if try self.length(value) <= length.addingReportingOverflow(leeway).partialValue { return value }
            throw Failure.type("'\(value.typeName)' object has no attribute 'rsplit'")
        }
        let scalars = Array(text.unicodeScalars)
        if scalars.count <= length.addingReportingOverflow(leeway).partialValue || length > scalars.count {
            return value
        }
        let cut = String(scalars[..<(length - endCount)])
        if values[1]?.isTrue ?? false { return value.sameKind(cut + end) }
        return value.sameKind((PythonText.splitFromRight(cut, by: " ", limit: 1).first ?? "") + end)
    }

    private func urlEncode(_ value: TemplateValue) throws -> String {
        func quoted(_ value: TemplateValue, query: Bool) throws -> String {
            var result = ""
            for byte in try Representation.string(value, budget).utf8 {
                let scalar = Unicode.Scalar(byte)
                let isPlain =
                    byte < 0x80
                    && (scalar.isLetter || (0x30...0x39).contains(byte)
                        || "_.-~".unicodeScalars.contains(scalar))
                if isPlain || (byte == UInt8(ascii: "/") && !query) {
                    result.unicodeScalars.append(scalar)
                } else if byte == 0x20, query {
                    result += "+"
                } else {
                    result += "%" + PythonText.upper(Representation.hexadecimal(UInt32(byte), width: 2))
                }
            }
            return result
        }
        let pairs: [TemplateValue]
        switch value {
        case .dict(let dict): pairs = dict.items
        case .list, .tuple, .view, .generator, .undefined: pairs = try elements(of: value)
        default: return try quoted(value, query: false)
        }
        return try pairs.map { pair in
            let parts = try elements(of: pair)
            guard parts.count == 2 else {
                throw Failure.type("not enough values to unpack (expected 2, got \(parts.count))")
            }
            return try quoted(parts[0], query: true) + "=" + quoted(parts[1], query: true)
        }.joined(separator: "&")
    }

    private func xmlAttributes(_ value: TemplateValue, _ arguments: CallArguments) throws -> String {
        let autospace = try arguments.bound(to: ["autospace"], "xmlattr")[0]?.isTrue ?? true
        guard case .dict(let dict) = value else {
            throw Failure.undefined("'\(value.objectName)' has no attribute 'items'")
        }
        var parts: [String] = []
        for (key, value) in zip(dict.keys, dict.values) where !value.isNone && !value.isUndefined {
            guard let name = key.text else { throw Failure.type("expected string or bytes-like object") }
            if name.utf8.contains(where: {
                [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x2F, 0x3E, 0x3D].contains($0)
            }) {
                throw Failure.type("Invalid character in attribute name: \(Representation.quote(name))")
            }
            let text = try Representation.string(value, budget)
            parts.append("\(HTML.escape(name))=\"\(value.isMarkup ? text : HTML.escape(text))\"")
        }
        return (autospace && !parts.isEmpty ? " " : "") + parts.joined(separator: " ")
    }

    private static func withoutTags(_ text: String) -> String {
        var rest = Substring(text).unicodeScalars[...]
        var result = String.UnicodeScalarView()
        while let scalar = rest.first {
            if scalar == "<" {
                let isComment = String(rest.prefix(4)) == "<!--"
                if isComment {
                    let bytes = Array(String(rest).utf8)
                    guard let end = SubstringSearch(Array("-->".utf8)).first(in: bytes, from: 4) else {
                        break
                    }
                    rest = Substring(String(bytes: bytes[(end + 3)...])).unicodeScalars[...]
                    continue
                }
                guard let end = rest.firstIndex(of: ">") else { break }
                rest = rest[rest.index(after: end)...]
            } else {
                result.append(scalar)
                rest.removeFirst()
            }
        }
        result.append(contentsOf: rest)
        var plain = PythonText.splitAtSpace(String(result), limit: -1).joined(separator: " ")
        for (entity, character) in [
            ("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&"),
        ] {
            plain = PythonText.replace(plain, entity, with: character)
        }
        return plain
    }
}
