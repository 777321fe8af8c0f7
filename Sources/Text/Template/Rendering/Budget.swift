/// What one rendering may cost. Every statement, expression, element and 16 bytes of text is a step, so that
/// neither loops nor repeated doubling hang or fill the memory.
package struct TemplateLimits: Sendable {
    package var steps = 10_000_000
    package var outputBytes = 16 << 20
    package var integerBits = 1 << 15
    package var rangeCount = 100_000
    package var macroDepth = 100
    package var valueDepth = 256

    package init() {}
}

final class Budget {
    let limits: TemplateLimits
    private var steps: Int

    init(_ limits: TemplateLimits) {
        self.limits = limits
        steps = limits.steps
    }

    @inline(__always)
    func charge(_ cost: Int = 1) throws {
        steps &-= cost
        if steps < 0 { throw Failure.limit("the template takes more than \(limits.steps) steps") }
    }

    /// Pays for a text of so many bytes.
    func charge(bytes: Int) throws {
        let bytes = max(bytes, 0)
        if bytes > limits.outputBytes {
            throw Failure.limit("a text is longer than \(limits.outputBytes) bytes")
        }
        try charge(bytes >> 4)
    }

    /// Pays for what a text grew by since `paid`, every few thousand bytes.
    func charge(growing count: Int, since paid: inout Int) throws {
        if count - paid < 4096 { return }
        if count > limits.outputBytes {
            throw Failure.limit("a text is longer than \(limits.outputBytes) bytes")
        }
        try charge((count - paid) >> 4)
        paid = count
    }

    /// Pays for the elements of a value about to be built, and bounds how deep it nests.
    func admit(_ value: TemplateValue) throws -> TemplateValue {
        switch value {
        case .list(let list), .tuple(let list): try charge(list.elements.count)
        case .dict(let dict): try charge(dict.count)
        case .callable, .generator: break
        default: return value
        }
        if value.depth > limits.valueDepth {
            throw Failure.limit("values nest more than \(limits.valueDepth) deep")
        }
        return value
    }
}
