/// The filters over sequences and mappings. Those that are generators in jinja2 are so here: they can be walked
/// over once, and have no length.
extension Renderer {
    func applySequenceFilter(
        _ filter: Filter, _ value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue {
        let name = filter.rawValue
        switch filter {
        case .length, .count:
            _ = try arguments.positionalOnly(0...0, name)
            return .int(try length(value))
        case .list:
            _ = try arguments.positionalOnly(0...0, name)
            return .list(try elements(of: value))
        case .default, .d:
            let values = try arguments.bound(to: ["default_value", "boolean"], name)
            let isMissing = value.isUndefined || (values[1]?.isTrue ?? false) && !value.isTrue
            return isMissing ? values[0] ?? .emptyString : value
        case .first:
            _ = try arguments.positionalOnly(0...0, name)
            if case .generator(let generator) = value {
                return try generator.next(self) ?? .undefined("No first item, sequence was empty.")
            }
            return try elements(of: value).first ?? .undefined("No first item, sequence was empty.")
        case .last:
            _ = try arguments.positionalOnly(0...0, name)
            if case .generator(let generator) = value {
                throw Failure.type("'\(generator.typeName)' object is not reversible")
            }
            return try elements(of: value).last ?? .undefined("No last item, sequence was empty.")
        case .items:
            _ = try arguments.positionalOnly(0...0, name)
            if case .dict(let dict) = value { return .generator(Generator(from: value) { _ in dict.items }) }
            if value.isUndefined { return .generator(Generator(from: value) { _ in [] }) }
            return .generator(
                Generator(from: value) { _ in throw Failure.type("Can only get item pairs from a mapping.") })
        case .join:
            let values = try arguments.bound(to: ["d", "attribute"], name)
            var elements = try elements(of: value)
            if let path = values[1], !path.isNone {
                elements = try elements.map { try self.path(path, in: $0) }
            }
            let pieces = try elements.map { try Representation.string($0, budget) }
            return .string(try joined(pieces, by: Representation.string(values[0] ?? .emptyString, budget)))
        case .reverse: return try reversed(value)
        case .sort:
            let values = try arguments.bound(to: ["reverse", "case_sensitive", "attribute"], name)
            let key = try multiKey(values[2], ignoringCase: !(values[1]?.isTrue ?? false))
            return .list(try sorted(elements(of: value), reversed: values[0]?.isTrue ?? false, by: key))
        case .dictsort:
            let values = try arguments.bound(to: ["case_sensitive", "by", "reverse"], name)
            let by = values[1]?.text ?? "key"
            guard by == "key" || by == "value" else {
                throw Failure.type("You can only sort by either \"key\" or \"value\"")
            }
            guard case .dict(let dict) = value else {
                if case .undefined(let undefined) = value { throw undefined.failure }
                throw Failure.undefined("'\(value.objectName)' has no attribute 'items'")
            }
            let ignoringCase = !(values[0]?.isTrue ?? false)
            return .list(
                try sorted(dict.items, reversed: values[2]?.isTrue ?? false) { pair in
                    guard case .tuple(let parts) = pair else { return pair }
                    let key = parts.elements[by == "key" ? 0 : 1]
                    return ignoringCase ? key.lowercased : key
                })
        case .unique:
            let values = try arguments.bound(to: ["case_sensitive", "attribute"], name)
            let key = try singleKey(values[1], ignoringCase: !(values[0]?.isTrue ?? false))
            return .generator(
                Generator(from: value) { renderer in
                    var seen: Set<DictKey> = []
                    return try renderer.elements(of: value).filter { element in
                        guard let hashed = DictKey(try key(element)) else {
                            throw Failure.type("unhashable type: '\(element.typeName)'")
                        }
                        return seen.insert(hashed).inserted
                    }
                })
        case .min, .max:
            let values = try arguments.bound(to: ["case_sensitive", "attribute"], name)
            let key = try singleKey(values[1], ignoringCase: !(values[0]?.isTrue ?? false))
            var best: (key: TemplateValue, value: TemplateValue)?
            for element in try elements(of: value) {
                let candidate = (key: try key(element), value: element)
                guard let current = best else {
                    best = candidate
                    continue
                }
                let isBetter =
                    filter == .min
                    ? try precedes(candidate.key, current.key)
                    : try precedes(current.key, candidate.key, ">", reversed: true)
                if isBetter { best = candidate }
            }
            return best?.value ?? .undefined("No aggregated item, sequence was empty.")
        case .sum:
            let values = try arguments.bound(to: ["attribute", "start"], name)
            var total = values[1] ?? .int(0)
            if total.text != nil { throw Failure.type("sum() can't sum strings [use ''.join(seq) instead]") }
            for element in try elements(of: value) {
                let term =
                    if let path = values[0], !path.isNone { try self.path(path, in: element) } else {
                        element
                    }
                total = try calculate(.add, total, term)
            }
            return total
        case .map: return try map(value, arguments)
        case .select, .reject, .selectattr, .rejectattr: return try select(filter, value, arguments)
        case .groupby: return try group(value, arguments)
        case .batch:
            let values = try arguments.bound(to: ["linecount", "fill_with"], required: 1, name)
            let count = try integer(values[0], default: 1)
            let fill = values[1].flatMap { $0.isNone ? nil : $0 }
            return .generator(Generator(from: value) { try $0.batches(value, count: count, fill: fill) })
        case .slice:
            let values = try arguments.bound(to: ["slices", "fill_with"], required: 1, name)
            let count = try integer(values[0], default: 1)
            let fill = values[1].flatMap { $0.isNone ? nil : $0 }
            return .generator(Generator(from: value) { try $0.columns(value, count: count, fill: fill) })
        case .attr:
            let attribute = try arguments.bound(to: ["name"], required: 1, name)[0] ?? .none
            guard let attribute = attribute.text else { throw Failure.type("attribute name must be string") }
            if case .dict = value, !hasMethod(value, attribute) {
                return .undefined("'\(value.objectName)' has no attribute '\(attribute)'")
            }
            return try self.attribute(attribute, of: value)
        default: throw Failure.type("the filter '\(name)' is not supported")
        }
    }

    private func reversed(_ value: TemplateValue) throws -> TemplateValue {
        switch value {
        case .string(let text), .markup(let text):
            return value.sameKind(String(text.unicodeScalars.reversed()))
        case .list(let list):
            return .generator(
                Generator(typeName: "list_reverseiterator", from: value) { _ in list.elements.reversed() })
        case .generator: return .list(try elements(of: value).reversed())
        default:
            do {
                let elements = try elements(of: value)
                if value.isUndefined { return .list([]) }
                return .generator(Generator(typeName: "reversed", from: value) { _ in elements.reversed() })
            } catch is Failure {
                throw Failure.type("argument must be iterable")
            }
        }
    }
}
