/// Renders one template once: walks the statements, writes the text.
final class Renderer {
    let tree: TemplateTree
    let name: String
    let budget: Budget
    let clock: TemplateClock
    /// The template's variables by the numbers of their names.
    private let variables: [TemplateValue?]
    var output = ""
    private var written = 0
    var macroDepth = 0
    private var depth = 0
    /// What may refer to itself, to be emptied at the end.
    var closures: [Frame] = []
    var namespaces: [Namespace] = []
    var changedLoops: [LoopState] = []

    /// Statements, expressions and macros under evaluation at once.
    private static let maximumDepth = 600

    init(
        _ tree: TemplateTree, name: String, variables: [String: TemplateValue], clock: TemplateClock,
        limits: TemplateLimits
    ) {
        self.tree = tree
        self.name = name
        self.clock = clock
        budget = Budget(limits)
        self.variables = tree.names.map { name in
            variables[name] ?? GlobalFunction(rawValue: name).map { .callable(Callable(.function($0))) }
        }
    }

    func render() throws(TemplateError) -> String {
        defer {
            for frame in closures { frame.values = [] }
            for namespace in namespaces { namespace.attributes = TemplateDict() }
            for loop in changedLoops { loop.lastChanged = nil }
        }
        do {
            _ = try run(tree.statements, enter(0, parent: nil))
            return output
        } catch let error as TemplateError {
            throw error
        } catch let failure as Failure {
            throw TemplateError(failure.kind, template: name, message: failure.message)
        } catch {
            throw TemplateError(.type, template: name, message: "\(error)")
        }
    }

    // MARK: Scopes

    func enter(_ scope: Int, parent: Frame?) -> Frame {
        let frame = Frame(tree.scopes[scope], parent: parent)
        for (place, (name, initial)) in frame.scope.initial.enumerated() {
            switch initial {
            case .parameter, .missing: break
            case .outer: if let parent { frame.values[place] = find(name, parent) }
            case .variable: frame.values[place] = variables[name]
            }
        }
        return frame
    }

    /// Nil if the name is undefined.
    func find(_ name: Int, _ frame: Frame) -> TemplateValue? {
        var frame: Frame? = frame
        while let scope = frame {
            if !scope.values.isEmpty, let place = scope.scope.places[name] { return scope.values[place] }
            frame = scope.parent
        }
        return variables[name]
    }

    func lookUp(_ name: Int, _ frame: Frame) -> TemplateValue {
        find(name, frame) ?? .undefined(Undefined(name: tree.names[name]))
    }

    func store(_ value: TemplateValue, _ name: Int, _ frame: Frame) throws {
        guard let place = frame.scope.places[name] else {
            throw Failure.type("the name '\(tree.names[name])' cannot be assigned here")
        }
        frame.values[place] = value
    }

    func assign(_ value: TemplateValue, _ target: Target, _ frame: Frame) throws {
        switch target {
        case .name(let name): try store(value, name, frame)
        case .attribute(let number, let name):
            guard case .namespace(let namespace) = lookUp(number, frame) else {
                throw Failure.type("cannot assign attribute on non-namespace object")
            }
            try namespace.set(name, value, budget)
        case .tuple(let targets):
            let elements = try elements(of: value)
            if elements.count < targets.count {
                throw Failure.type(
                    "not enough values to unpack (expected \(targets.count), got \(elements.count))")
            }
            if elements.count > targets.count {
                throw Failure.type("too many values to unpack (expected \(targets.count))")
            }
            for (target, element) in zip(targets, elements) { try assign(element, target, frame) }
        }
    }

    // MARK: Output

    func write(_ text: String) throws {
        written += text.utf8.count
        if written > budget.limits.outputBytes {
            throw Failure.limit("the template writes more than \(budget.limits.outputBytes) bytes")
        }
        output += text
    }

    /// What `body` writes, as a string.
    func captured(_ body: () throws -> Void) throws -> String {
        let outer = output
        output = ""
        defer { output = outer }
        try body()
        return output
    }

    // MARK: Statements

    /// Adds to an error where it happened, unless it knows already.
    func at<Result>(_ line: Int, _ range: Range<Int>, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let failure as Failure {
            throw TemplateError(
                failure.kind, template: name, line: line, expression: tree.excerpt(range),
                message: failure.message)
        }
    }

    func evaluate(_ located: Located, _ frame: Frame) throws -> TemplateValue {
        do {
            return try evaluate(located.expression, frame)
        } catch let failure as Failure {
            throw TemplateError(
                failure.kind, template: name, line: located.line, expression: tree.excerpt(located.range),
                message: failure.message)
        }
    }

    func nested<Result>(_ body: () throws -> Result) throws -> Result {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw Failure.limit("expressions and blocks nest too deep") }
        return try body()
    }

    func run(_ statements: [Statement], _ frame: Frame) throws -> Flow {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw Failure.limit("expressions and blocks nest too deep") }
        for statement in statements {
            try budget.charge()
            switch statement {
            case .text(let text): try write(text)
            case .output(let located): try print(located, frame)
            case .branches(let branches, let otherwise):
                let flow = try run(branch(branches, frame) ?? otherwise, frame)
                if flow != .next { return flow }
            case .breakLoop: return .breaks
            case .continueLoop: return .continues
            default:
                let flow = try runScoped(statement, frame)
                if flow != .next { return flow }
            }
        }
        return .next
    }

    private func print(_ located: Located, _ frame: Frame) throws {
        let value = try evaluate(located, frame)
        if let text = value.text { return try write(text) }
        try at(located.line, located.range) { try write(Representation.string(value, budget)) }
    }

    private func branch(_ branches: [(test: Located, body: [Statement])], _ frame: Frame) throws
        -> [Statement]?
    {
        for branch in branches where try evaluate(branch.test, frame).isTrue { return branch.body }
        return nil
    }

    private func runScoped(_ statement: Statement, _ frame: Frame) throws -> Flow {
        switch statement {
        case .set(let target, let located):
            let value = try evaluate(located, frame)
            try at(located.line, located.range) { try assign(value, target, frame) }
        case .loop(let loop): try at(loop.sequence.line, loop.sequence.range) { try runLoop(loop, frame) }
        case .macro(let definition):
            let macro = Macro(definition, name: definition.name.map { tree.names[$0] }, frame: frame)
            closures.append(frame)
            if let name = definition.name { try store(.callable(Callable(.macro(macro))), name, frame) }
        case .call(let callee, let arguments, let definition):
            try runCall(callee, arguments, definition, frame)
        case .capture(let target, let filters, let body, let scope, let line, let range):
            let inner = enter(scope, parent: frame)
            var flow = Flow.next
            let text = try captured { flow = try run(body, inner) }
            if flow != .next { return flow }
            try at(line, range) {
                try assign(apply(filters, to: .string(text), inner), target, frame)
            }
        case .filter(let filters, let body, let scope, let line, let range):
            let inner = enter(scope, parent: frame)
            var flow = Flow.next
            let text = try captured { flow = try run(body, inner) }
            if flow != .next { return flow }
            try at(line, range) {
                let result = try apply(filters, to: .string(text), inner)
                guard let text = result.text else {
                    throw Failure.type("a filter block writes text, and this is of type \(result.typeName)")
                }
                try write(text)
            }
        case .with(let bindings, let body, let scope):
            let inner = enter(scope, parent: frame)
            for (target, located) in bindings {
                let value = try evaluate(located, frame)
                try at(located.line, located.range) { try assign(value, target, inner) }
            }
            return try run(body, inner)
        case .scope(let body, let scope): return try run(body, enter(scope, parent: frame))
        case .refused(let message, let line, let range): try at(line, range) { throw Failure.type(message) }
        case .text, .output, .branches, .breakLoop, .continueLoop: break
        }
        return .next
    }

    private func apply(_ filters: [Link], to value: TemplateValue, _ frame: Frame) throws -> TemplateValue {
        var value = value
        for case .filter(let name, let arguments) in filters {
            value = try applyFilter(name, to: value, callArguments(arguments, frame))
        }
        return value
    }
}

extension TemplateTree {
    /// The source in a range, on one line and not too long.
    func excerpt(_ range: Range<Int>) -> String {
        let words = String(bytes: source[range.clamped(to: 0..<source.count)]).split(
            whereSeparator: { $0 == " " || $0 == "\n" || $0 == "\t" })
        let text = words.joined(separator: " ")
        return text.count > 100 ? String(text.prefix(97)) + "..." : text
    }
}

extension Namespace {
    func set(_ name: String, _ value: TemplateValue, _ budget: Budget) throws {
        if name.utf8.first == UInt8(ascii: "_") {
            throw Failure(
                kind: .forbidden,
                message: "Chat templates cannot store underscore-prefixed attributes on a namespace, but got "
                    + "\(Representation.quote(name)). Please rename the attribute.")
        }
        var builder = TemplateDict.Builder(attributes)
        builder.set(name, value)
        attributes = builder.dict
        try budget.charge(attributes.count)
    }
}
