/// The methods of strings.
enum StringMethod: String {
    case capitalize, casefold, center, count, encode, endswith, expandtabs, find, format, index, isalnum,
        isalpha
    case isascii, isdecimal, isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper
    case join, ljust, lower, lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust
    case rpartition, rsplit, rstrip, split, splitlines, startswith, strip, swapcase, title, upper, zfill
    case format_map, maketrans, translate
}

extension Renderer {
    func callString(
        _ method: StringMethod, _ text: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue {
        let name = method.rawValue
        func string(_ argument: TemplateValue) throws -> String {
            guard let text = argument.text else {
                throw Failure.type("\(name)() argument must be str, not \(argument.typeName)")
            }
            return text
        }
        func wrap(_ text: String) -> TemplateValue { value.sameKind(text) }
        switch method {
        case .capitalize, .casefold, .lower, .upper, .title, .swapcase, .isalnum, .isalpha, .isascii,
            .isdecimal,
            .isdigit, .isidentifier, .islower, .isnumeric, .isprintable, .isspace, .istitle, .isupper:
            _ = try arguments.positionalOnly(0...0, name)
            if let result = Self.cased(method, text) { return wrap(result) }
            return .bool(Self.classify(method, text))
        case .strip, .lstrip, .rstrip:
            let values = try arguments.positionalOnly(0...1, name)
            let characters = try values.first.flatMap { try $0.isNone ? nil : string($0) }
            let side: PythonText.Side = method == .strip ? .both : method == .lstrip ? .left : .right
            return wrap(PythonText.strip(text, characters, side))
        case .split, .rsplit: return try split(text, value, arguments, fromRight: method == .rsplit)
        case .splitlines:
            let keep = try arguments.bound(to: ["keepends"], name)[0]?.isTrue ?? false
            return .list(PythonText.lines(text, keepingEnds: keep).map(wrap))
        case .partition, .rpartition:
            let separator = try string(arguments.positionalOnly(1...1, name)[0])
            if separator.isEmpty { throw Failure.type("empty separator") }
            let pieces =
                method == .partition
                ? PythonText.split(text, by: separator, limit: 1)
                : PythonText.splitFromRight(text, by: separator, limit: 1)
            if pieces.count == 2 { return .tuple([wrap(pieces[0]), wrap(separator), wrap(pieces[1])]) }
            let parts = method == .partition ? [text, "", ""] : ["", "", text]
            return .tuple(parts.map(wrap))
        case .startswith, .endswith:
            let values = try arguments.positionalOnly(1...3, name)
            let part = try part(of: text, values.dropFirst())
            let candidates: [TemplateValue] =
                if case .tuple(let tuple) = values[0] { tuple.elements } else { [values[0]] }
            for candidate in candidates {
                guard let affix = candidate.text else {
                    throw Failure.type(
                        "\(name) first arg must be str or a tuple of str, not \(candidate.typeName)")
                }
                guard let part else { continue }
                if method == .startswith
                    ? part.utf8.starts(with: affix.utf8)
                    : part.utf8.reversed().starts(with: affix.utf8.reversed())
                {
                    return .bool(true)
                }
            }
            return .bool(false)
        case .find, .rfind, .index, .rindex:
            let values = try arguments.positionalOnly(1...3, name)
            let place = try find(
                string(values[0]), in: text, values.dropFirst(), last: method == .rfind || method == .rindex)
            if place < 0, method == .index || method == .rindex { throw Failure.type("substring not found") }
            return .int(place)
        case .count:
            let values = try arguments.positionalOnly(1...3, name)
            let needle = try string(values[0])
            guard let part = try part(of: text, values.dropFirst()) else { return .int(0) }
            if needle.isEmpty { return .int(part.codePointCount + 1) }
            return .int(SubstringSearch(Array(needle.utf8)).all(in: Array(part.utf8)).count)
        case .replace:
            let values = try arguments.positionalOnly(2...3, name)
            guard let limit = values.count > 2 ? values[2].clampedInt : -1 else {
                throw Failure.type("'\(values[2].typeName)' object cannot be interpreted as an integer")
            }
            let new = try string(values[1])
            let escaped = value.isMarkup && !values[1].isMarkup ? HTML.escape(new) : new
            return wrap(try replace(text, string(values[0]), with: escaped, limit: limit))
        case .join:
            let elements = try elements(of: arguments.positionalOnly(1...1, name)[0])
            var pieces: [String] = []
            for (index, element) in elements.enumerated() {
                if value.isMarkup {
                    let piece = try Representation.string(element, budget)
                    pieces.append(element.isMarkup ? piece : HTML.escape(piece))
                } else if let piece = element.text {
                    pieces.append(piece)
                } else {
                    throw Failure.type(
                        "sequence item \(index): expected str instance, \(element.typeName) found")
                }
            }
            return wrap(try joined(pieces, by: text))
        case .removeprefix, .removesuffix:
            let affix = try string(arguments.positionalOnly(1...1, name)[0])
            if method == .removeprefix {
                return wrap(
                    text.utf8.starts(with: affix.utf8)
                        ? String(bytes: text.utf8.dropFirst(affix.utf8.count)) : text)
            }
            let isSuffix = text.utf8.reversed().starts(with: affix.utf8.reversed())
            return wrap(isSuffix ? String(bytes: text.utf8.dropLast(affix.utf8.count)) : text)
        case .ljust, .rjust, .center:
            let values = try arguments.positionalOnly(1...2, name)
            guard let width = values[0].clampedInt else {
                throw Failure.type("'\(values[0].typeName)' object cannot be interpreted as an integer")
            }
            let fill = try values.count > 1 ? string(values[1]) : " "
            guard let scalar = fill.unicodeScalars.first, fill.unicodeScalars.count == 1 else {
                throw Failure.type("The fill character must be exactly one character long")
            }
            try budget.charge(bytes: width)
            let side: PythonText.Side = method == .ljust ? .right : method == .rjust ? .left : .both
            return wrap(PythonText.padded(text, to: width, fill: scalar, side))
        case .zfill:
            guard let width = try arguments.positionalOnly(1...1, name)[0].clampedInt else {
                throw Failure.type("an integer is required")
            }
            try budget.charge(bytes: width)
            if let sign = text.unicodeScalars.first, sign == "-" || sign == "+" {
                return wrap(
                    String(sign)
                        + PythonText.padded(
                            String(text.unicodeScalars.dropFirst()), to: max(width, 1) - 1, fill: "0", .left))
            }
            return wrap(PythonText.padded(text, to: width, fill: "0", .left))
        case .expandtabs:
            let size = try arguments.bound(to: ["tabsize"], name)[0]?.clampedInt ?? 8
            return wrap(try expandTabs(text, size))
        case .format: return wrap(try BraceFormat.apply(text, arguments, isMarkup: value.isMarkup, self))
        case .format_map:
            var passed = CallArguments()
            guard case .dict(let dict) = try arguments.positionalOnly(1...1, name)[0] else {
                throw Failure.type("format_map() takes a mapping")
            }
            for (key, value) in zip(dict.keys, dict.values) {
                if let key = key.text { passed.keywords.append((key, value)) }
            }
            return wrap(try BraceFormat.apply(text, passed, isMarkup: value.isMarkup, self))
        case .translate: return wrap(try translate(text, arguments))
        case .maketrans: return try translationTable(arguments)
        case .encode: throw Failure.type("bytes are not supported: a prompt is text")
        }
    }

    func replace(_ text: String, _ old: String, with new: String, limit: Int) throws -> String {
        let places =
            old.isEmpty
            ? text.codePointCount + 1
            : SubstringSearch(Array(old.utf8)).all(in: Array(text.utf8), limit: limit < 0 ? .max : limit)
                .count
        let (growth, overflow) = places.multipliedReportingOverflow(by: new.utf8.count)
        try budget.charge(bytes: overflow ? .max : growth)
        return PythonText.replace(text, old, with: new, limit: limit)
    }

    func joined(_ pieces: [String], by separator: String) throws -> String {
        let total = pieces.reduce(0) { $0 + $1.utf8.count + separator.utf8.count }
        try budget.charge(bytes: total)
        return pieces.joined(separator: separator)
    }

    private func split(
        _ text: String, _ value: TemplateValue, _ arguments: CallArguments, fromRight: Bool
    ) throws -> TemplateValue {
        let values = try arguments.bound(to: ["sep", "maxsplit"], fromRight ? "rsplit" : "split")
        guard let limit = values[1].map({ $0.clampedInt }) ?? -1 else {
            throw Failure.type("'\(values[1]?.typeName ?? "")' object cannot be interpreted as an integer")
        }
        let pieces: [String]
        if let separator = values[0], !separator.isNone {
            guard let separator = separator.text else {
                throw Failure.type("must be str or None, not \(separator.typeName)")
            }
            if separator.isEmpty { throw Failure.type("empty separator") }
            pieces =
                fromRight
                ? PythonText.splitFromRight(text, by: separator, limit: limit)
                : PythonText.split(text, by: separator, limit: limit)
        } else {
            pieces = PythonText.splitAtSpace(text, limit: limit, fromRight: fromRight)
        }
        return .list(pieces.map { value.sameKind($0) })
    }

    /// The part of a text between optional places; nil if it starts beyond the end.
    private func part(of text: String, _ bounds: ArraySlice<TemplateValue>) throws -> String? {
        if bounds.isEmpty { return text }
        let scalars = Array(text.unicodeScalars)
        let range = try self.bounds(bounds, count: scalars.count)
        if range.lowerBound > scalars.count { return nil }
        return String(scalars[range])
    }

    private func find(_ needle: String, in text: String, _ bounds: ArraySlice<TemplateValue>, last: Bool)
        throws -> Int
    {
        guard let part = try part(of: text, bounds) else { return -1 }
        let offset = try bounds.isEmpty ? 0 : self.bounds(bounds, count: text.codePointCount).lowerBound
        let bytes = Array(part.utf8)
        let search = SubstringSearch(Array(needle.utf8))
        guard
            let place = last && !needle.isEmpty
                ? search.last(in: bytes) : last ? bytes.count : search.first(in: bytes)
        else { return -1 }
        return offset + String(bytes: bytes[..<place]).codePointCount
    }

    private func expandTabs(_ text: String, _ size: Int) throws -> String {
        let (total, overflow) = text.utf8.count.multipliedReportingOverflow(by: max(size, 1))
        try budget.charge(bytes: overflow ? .max : total)
        var result = String.UnicodeScalarView()
        var column = 0
        for scalar in text.unicodeScalars {
            if scalar == "\t" {
                if size > 0 {
                    let width = size - column % size
                    result.append(contentsOf: repeatElement(" ", count: width))
                    column += width
                }
            } else {
                result.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return String(result)
    }

    private static func cased(_ method: StringMethod, _ text: String) -> String? {
        switch method {
        case .capitalize: PythonText.capitalize(text)
        case .lower: PythonText.lower(text)
        case .casefold: PythonText.lower(PythonText.replace(text, "ß", with: "ss")).replacingFinalSigma
        case .upper: PythonText.upper(text)
        case .title: PythonText.title(text)
        case .swapcase: PythonText.swapCase(text)
        default: nil
        }
    }

    private static func classify(_ method: StringMethod, _ text: String) -> Bool {
        func all(_ test: (Unicode.Scalar) -> Bool) -> Bool {
            !text.isEmpty && text.unicodeScalars.allSatisfy(test)
        }
        switch method {
        case .isalpha: return all(\.isLetter)
        case .isalnum: return all { $0.isLetter || $0.properties.numericType != nil }
        case .isdecimal: return all { $0.properties.numericType == .decimal }
        case .isdigit:
            return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case .isnumeric: return all { $0.properties.numericType != nil }
        case .isspace: return all(\.isPythonSpace)
        case .isprintable: return text.unicodeScalars.allSatisfy(\.isPrintable)
        case .isascii: return text.isASCII
        case .isidentifier:
            guard let first = text.unicodeScalars.first else { return false }
            return (first == "_" || first.properties.isXIDStart)
                && text.unicodeScalars.allSatisfy { $0.properties.isXIDContinue }
        case .islower: return PythonText.hasCase(text) { $0.isLowercase }
        case .isupper: return PythonText.hasCase(text) { $0.isUppercase }
        case .istitle: return PythonText.isTitle(text)
        default: return false
        }
    }
}

extension Unicode.Scalar {
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}

extension String {
    /// Case folding knows no final sigma.
    fileprivate var replacingFinalSigma: String { PythonText.replace(self, "ς", with: "σ") }
}
