/// The methods of Python's strings, lists, tuples and dictionaries that change nothing.
extension Renderer {
    func hasMethod(_ value: TemplateValue, _ name: String) -> Bool {
        switch value {
        case .string, .markup: StringMethod(rawValue: name) != nil
        case .list: name == "copy" || name == "count" || name == "index"
        case .tuple, .range: name == "count" || name == "index"
        case .dict: ["get", "keys", "values", "items", "copy", "fromkeys"].contains(name)
        case .int, .big, .bool: ["bit_length", "conjugate", "bit_count"].contains(name)
        case .float: name == "is_integer" || name == "conjugate"
        case .loop: name == "cycle" || name == "changed"
        case .callable(let callable):
            switch callable.kind {
            case .cycler: name == "next" || name == "reset"
            case .function(.dict): name == "fromkeys"
            default: false
            }
        default: false
        }
    }

    func callMethod(_ name: String, of value: TemplateValue, _ arguments: CallArguments) throws
        -> TemplateValue
    {
        switch value {
        case .string(let text), .markup(let text):
            guard let method = StringMethod(rawValue: name) else { break }
            try budget.charge(text.utf8.count >> 3)
            let result = try callString(method, text, value, arguments)
            if let text = result.text { try budget.charge(bytes: text.utf8.count) }
            return try budget.admit(result)
        case .dict(let dict): return try callDict(name, dict, arguments)
        case .list(let list), .tuple(let list): return try callList(name, list.elements, value, arguments)
        case .range(let range): return try callList(name, range.elements, value, arguments)
        case .loop(let state): return try callLoopMethod(name, state, arguments)
        case .int, .big, .bool:
            _ = try arguments.positionalOnly(0...0, name)
            guard let integer = value.integer else { break }
            switch name {
            case "bit_length": return .int(integer.bitWidth)
            case "bit_count": return .int(integer.limbs.reduce(0) { $0 + $1.nonzeroBitCount })
            default: return .integer(integer)
            }
        case .float(let number):
            _ = try arguments.positionalOnly(0...0, name)
            return name == "is_integer" ? .bool(number.rounded() == number && number.isFinite) : value
        case .callable(let callable):
            if case .cycler(let items) = callable.kind {
                _ = try arguments.positionalOnly(0...0, name)
                if name == "reset" {
                    callable.position = 0
                    return .none
                }
                defer { callable.position = (callable.position + 1) % items.count }
                return items[callable.position]
            }
            if case .function(.dict) = callable.kind { return try callDict(name, TemplateDict(), arguments) }
        default: break
        }
        throw Failure.undefined("'\(value.objectName)' has no attribute '\(name)'")
    }

    private func callDict(_ name: String, _ dict: TemplateDict, _ arguments: CallArguments) throws
        -> TemplateValue
    {
        switch name {
        case "get":
            let values = try arguments.positionalOnly(1...2, "get")
            guard let key = DictKey(values[0]) else {
                throw Failure.type("unhashable type: '\(values[0].typeName)'")
            }
            let found = if let text = values[0].text { dict[text] } else { dict[key] }
            return found ?? (values.count > 1 ? values[1] : .none)
        case "fromkeys":
            let values = try arguments.positionalOnly(1...2, "fromkeys")
            var result = TemplateDict.Builder()
            for key in try elements(of: values[0]) {
                try result.set(key, values.count > 1 ? values[1] : .none)
            }
            return try budget.admit(.dict(result.dict))
        default:
            _ = try arguments.positionalOnly(0...0, name)
            switch name {
            case "keys": return .view(DictView(.keys, of: dict))
            case "values": return .view(DictView(.values, of: dict))
            case "items": return .view(DictView(.items, of: dict))
            default: return .dict(dict)
            }
        }
    }

    private func callList(
        _ name: String, _ elements: [TemplateValue], _ value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue {
        if name == "copy" {
            _ = try arguments.positionalOnly(0...0, name)
            return value
        }
        let values = try arguments.positionalOnly(1...(name == "index" ? 3 : 1), name)
        if name == "count" {
            var count = 0
            for element in elements where try equal(element, values[0]) { count += 1 }
            return .int(count)
        }
        let range = try bounds(values.dropFirst(), count: elements.count)
        for place in range where try equal(elements[place], values[0]) { return .int(place) }
        throw Failure.type("\(try Representation.quoted(values[0], budget)) is not in list")
    }

    /// The places that optional start and end arguments select.
    func bounds(_ arguments: ArraySlice<TemplateValue>, count: Int) throws -> Range<Int> {
        var ends = [0, count]
        for (place, argument) in arguments.enumerated() where !argument.isNone {
            guard let index = argument.clampedInt else {
                throw Failure.type("slice indices must be integers or None or have an __index__ method")
            }
            ends[place] = min(
                max(index < 0 ? (index == .min ? 0 : index + count) : index, 0), place == 0 ? .max : count)
        }
        return ends[0] <= ends[1] ? ends[0]..<ends[1] : ends[0]..<ends[0]
    }
}
