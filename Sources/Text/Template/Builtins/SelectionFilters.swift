/// What the filters over sequences look at in each element, and those that apply a filter or a test to each.
extension Renderer {
    // MARK: Keys

    /// `a.b.0`: a path of items and attributes.
    func path(_ path: TemplateValue, in value: TemplateValue, default standard: TemplateValue? = nil) throws
        -> TemplateValue
    {
        var value = value
        func step(_ key: TemplateValue) throws {
            value = try item(key, of: value)
            if value.isUndefined, let standard, !standard.isNone { value = standard }
        }
        guard let text = path.text else {
            if !path.isNone { try step(path) }
            return value
        }
        for part in PythonText.split(text, by: ".", limit: -1) {
            if !part.isEmpty, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let integer = BigInteger(part)
            {
                try step(.integer(integer))
            } else {
                try step(.string(part))
            }
        }
        return value
    }

    typealias Key = (TemplateValue) throws -> TemplateValue

    func singleKey(_ path: TemplateValue?, ignoringCase: Bool) throws -> Key {
        { [unowned self] value in
            let key = try path.map { try self.path($0, in: value) } ?? value
            return ignoringCase ? key.lowercased : key
        }
    }

    /// As `singleKey`, for several paths with commas between them.
    func multiKey(_ path: TemplateValue?, ignoringCase: Bool) throws -> Key {
        let paths =
            path?.text.map { PythonText.split($0, by: ",", limit: -1).map { TemplateValue.string($0) } } ?? [
                path ?? .none
            ]
        return { [unowned self] value in
            .list(
                try paths.map { path in
                    let key = try self.path(path, in: value)
                    return ignoringCase ? key.lowercased : key
                })
        }
    }

    // MARK: Map, select, group

    func map(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        if !value.isTrue { return .generator(Generator(from: value) { _ in [] }) }
        return .generator(
            Generator(from: value) { renderer in
                var rest = arguments
                if arguments.positional.isEmpty, let path = rest.removeKeyword("attribute") {
                    let standard = rest.removeKeyword("default")
                    if let keyword = rest.keywords.first {
                        throw Failure.type("Unexpected keyword argument '\(keyword.name)'")
                    }
                    return try renderer.elements(of: value).map {
                        try renderer.path(path, in: $0, default: standard)
                    }
                }
                guard let name = rest.positional.first else {
                    throw Failure.type("map requires a filter argument")
                }
                rest.positional.removeFirst()
                guard let name = name.text else { throw Failure.type("No filter named \(name.typeName).") }
                return try renderer.elements(of: value).map { try renderer.applyFilter(name, to: $0, rest) }
            })
    }

    func select(_ filter: Filter, _ value: TemplateValue, _ arguments: CallArguments) throws
        -> TemplateValue
    {
        if !value.isTrue { return .generator(Generator(from: value) { _ in [] }) }
        let isSelect = filter == .select || filter == .selectattr
        let hasPath = filter == .selectattr || filter == .rejectattr
        return .generator(
            Generator(from: value) { renderer in
                var rest = arguments
                var path: TemplateValue?
                if hasPath {
                    guard let first = rest.positional.first else {
                        throw Failure.type("Missing parameter for attribute name")
                    }
                    path = first
                    rest.positional.removeFirst()
                }
                let test = rest.positional.first
                if test != nil { rest.positional.removeFirst() }
                return try renderer.elements(of: value).filter { element in
                    let subject = try path.map { try renderer.path($0, in: element) } ?? element
                    guard let test else { return subject.isTrue == isSelect }
                    guard let name = test.text else { throw Failure.type("No test named \(test.typeName).") }
                    return try renderer.applyTest(name, to: subject, rest) == isSelect
                }
            })
    }

    func group(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.bound(
            to: ["attribute", "default", "case_sensitive"], required: 1, "groupby")
        let path = values[0] ?? .none
        let ignoringCase = !(values[2]?.isTrue ?? false)
        func key(_ element: TemplateValue) throws -> TemplateValue {
            let key = try self.path(path, in: element, default: values[1])
            return ignoringCase ? key.lowercased : key
        }
        var groups: [(key: TemplateValue, members: [TemplateValue])] = []
        for element in try sorted(elements(of: value), by: key) {
            let elementKey = try key(element)
            if let last = groups.last, try equal(last.key, elementKey) {
                groups[groups.count - 1].members.append(element)
            } else {
                groups.append((elementKey, [element]))
            }
        }
        return .list(
            try groups.map { group in
                let name =
                    try group.members.first.map { try self.path(path, in: $0, default: values[1]) } ?? .none
                return .tuple([name, .list(group.members)])
            })
    }

    func batches(_ value: TemplateValue, count: Int, fill: TemplateValue?) throws
        -> [TemplateValue]
    {
        var batches: [TemplateValue] = []
        var batch: [TemplateValue] = []
        for element in try elements(of: value) {
            if batch.count == count {
                batches.append(.list(batch))
                batch = []
            }
            batch.append(element)
        }
        if !batch.isEmpty {
            if let fill, batch.count < count {
                try budget.charge(count - batch.count)
                batch += Array(repeating: fill, count: count - batch.count)
            }
            batches.append(.list(batch))
        }
        return batches
    }

    func columns(_ value: TemplateValue, count: Int, fill: TemplateValue?) throws
        -> [TemplateValue]
    {
        let elements = try elements(of: value)
        if count == 0 { throw Failure.type("integer division or modulo by zero") }
        if count < 0 { return [] }
        try budget.charge(count)
        let (size, extra) = elements.count.quotientAndRemainder(dividingBy: count)
        var offset = 0
        var columns: [TemplateValue] = []
        for number in 0..<count {
            let start = offset + number * size
            if number < extra { offset += 1 }
            var column = Array(elements[start..<(offset + (number + 1) * size)])
            if let fill, number >= extra { column.append(fill) }
            columns.append(.list(column))
        }
        return columns
    }
}

extension CallArguments {
    fileprivate mutating func removeKeyword(_ name: String) -> TemplateValue? {
        guard let place = keywords.firstIndex(where: { $0.name == name }) else { return nil }
        return keywords.remove(at: place).value
    }
}

extension TemplateValue {
    /// Small letters, if this is text.
    var lowercased: TemplateValue { text.map { sameKind(PythonText.lower($0)) } ?? self }
}
