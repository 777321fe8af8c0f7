/// JSON text of a value: compact, members in their order, numbers as they were written.
extension JSONValue {
    package var text: String {
        var line = JSONLine()
        write(to: &line)
        return line.text
    }

    package func write(to line: inout JSONLine) {
        switch self {
        case .null: line.null()
        case .bool(let value): line.value(value)
        case .number(let value): line.raw(value.text.utf8)
        case .string(let value): line.value(value)
        case .array(let elements):
            line.array { line in for element in elements { element.write(to: &line) } }
        case .object(let object):
            line.object { line in
                for (key, value) in object.members {
                    line.key(key)
                    value.write(to: &line)
                }
            }
        }
    }
}
