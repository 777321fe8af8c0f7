/// The names that a scope binds, and what each holds when the scope is entered.
struct Scope: Sendable {
    enum Initial: Sendable {
        /// A loop variable or a macro's parameter: bound by whoever enters.
        case parameter
        /// The outer scope's value, until the scope assigns its own.
        case outer
        /// The template's variable of that name: it is assigned in one branch only.
        case variable
        /// Undefined until it is assigned.
        case missing
    }

    var places: [Int: Int] = [:]
    var initial: [(name: Int, value: Initial)] = []
}

/// Finds what each scope binds, by jinja2's rules (`idtracking.py`): a name that is assigned anywhere in a scope is
/// the scope's own throughout, loops, macros, call blocks, filter blocks, block assignments and `with` are scopes,
/// and `if` is not.
struct ScopeAnalysis {
    private final class Symbols {
        let parent: Symbols?
        var known: Set<Int> = []
        var stored: [Int: Scope.Initial] = [:]

        init(parent: Symbols?) { self.parent = parent }

        func knows(_ name: Int) -> Bool { known.contains(name) || parent?.knows(name) == true }

        func load(_ name: Int) {
            if !knows(name) { known.insert(name) }
        }

        func store(_ name: Int) {
            if stored[name] == nil, !known.contains(name) {
                stored[name] = parent?.knows(name) == true ? .outer : .missing
            } else if stored[name] == nil {
                // Read before it is assigned: what the template's caller gave.
                stored[name] = .variable
            }
            known.insert(name)
        }

        func declare(_ name: Int) {
            known.insert(name)
            stored[name] = .parameter
        }
    }

    private(set) var scopes: [Scope]

    init(scopeCount: Int) { scopes = Array(repeating: Scope(), count: scopeCount + 1) }

    mutating func run(_ statements: [Statement]) {
        enter(0, parent: nil, body: statements) { _ in }
    }

    private mutating func enter(
        _ scope: Int, parent: Symbols?, body: [Statement], declare: (Symbols) -> Void
    ) {
        let symbols = Symbols(parent: parent)
        declare(symbols)
        for statement in body { visit(statement, symbols) }
        for (name, initial) in symbols.stored.sorted(by: { $0.key < $1.key }) {
            scopes[scope].places[name] = scopes[scope].initial.count
            scopes[scope].initial.append((name, initial))
        }
        descend(body, symbols)
    }

    // MARK: What a statement binds in its own scope

    private func visit(_ statement: Statement, _ symbols: Symbols) {
        switch statement {
        case .text, .breakLoop, .continueLoop, .refused, .scope: break
        case .output(let value): visit(value.expression, symbols)
        case .branches(let branches, let otherwise): visit(branches[...], otherwise, symbols)
        case .loop(let loop): visit(loop.sequence.expression, symbols)
        case .set(let target, let value):
            visit(value.expression, symbols)
            visit(target, symbols)
        case .capture(let target, _, _, _, _, _): visit(target, symbols)
        case .macro(let macro): if let name = macro.name { symbols.store(name) }
        case .call(let callee, let arguments, _):
            visit(callee.expression, symbols)
            visit(arguments, symbols)
        case .filter(let links, _, _, _, _): visit(links, symbols)
        case .with(let bindings, _, _): for (_, value) in bindings { visit(value.expression, symbols) }
        }
    }

    /// A name that only some branches assign falls back on the outer value; each branch starts from what was known
    /// before all of them.
    private func visit(
        _ branches: ArraySlice<(test: Located, body: [Statement])>, _ otherwise: [Statement],
        _ symbols: Symbols
    ) {
        guard let first = branches.first else {
            for statement in otherwise { visit(statement, symbols) }
            return
        }
        visit(first.test.expression, symbols)
        let known = symbols.known
        let stored = symbols.stored
        var allKnown = known
        var allStored: Set<Int> = []
        var bodies: [() -> Void] = [{ for statement in first.body { self.visit(statement, symbols) } }]
        for branch in branches.dropFirst() {
            bodies.append {
                self.visit(branch.test.expression, symbols)
                for statement in branch.body { self.visit(statement, symbols) }
            }
        }
        bodies.append { for statement in otherwise { self.visit(statement, symbols) } }
        for body in bodies {
            symbols.known = known
            symbols.stored = stored
            body()
            allKnown.formUnion(symbols.known)
            allStored.formUnion(symbols.stored.keys)
        }
        symbols.known = allKnown
        symbols.stored = stored
        for name in allStored where stored[name] == nil {
            symbols.stored[name] = symbols.parent?.knows(name) == true ? .outer : .variable
        }
    }

    private func visit(_ target: Target, _ symbols: Symbols) {
        switch target {
        case .name(let name): symbols.store(name)
        case .attribute(let namespace, _): symbols.load(namespace)
        case .tuple(let targets): for target in targets { visit(target, symbols) }
        }
    }

    private func visit(_ expression: Expression, _ symbols: Symbols) {
        switch expression {
        case .constant: break
        case .name(let name): symbols.load(name)
        case .list(let elements), .tuple(let elements), .concatenation(let elements), .and(let elements),
            .or(let elements):
            for element in elements { visit(element, symbols) }
        case .dict(let items):
            for item in items {
                visit(item.key, symbols)
                visit(item.value, symbols)
            }
        case .chain(let base, let links):
            visit(base, symbols)
            visit(links, symbols)
        case .arithmetic(let first, let rest):
            visit(first, symbols)
            for (_, operand) in rest { visit(operand, symbols) }
        case .comparison(let first, let rest):
            visit(first, symbols)
            for (_, operand) in rest { visit(operand, symbols) }
        case .not(let operand), .negative(let operand), .positive(let operand): visit(operand, symbols)
        case .conditional(let value, let test, let otherwise, _):
            visit(test, symbols)
            visit(value, symbols)
            if let otherwise { visit(otherwise, symbols) }
        }
    }

    private func visit(_ links: [Link], _ symbols: Symbols) {
        for link in links {
            switch link {
            case .attribute: break
            case .item(let item): visit(item, symbols)
            case .slice(let start, let stop, let step):
                for part in [start, stop, step] { if let part { visit(part, symbols) } }
            case .call(let arguments), .filter(_, let arguments), .test(_, let arguments, _):
                visit(arguments, symbols)
            }
        }
    }

    private func visit(_ arguments: Arguments, _ symbols: Symbols) {
        for argument in arguments.positional { visit(argument, symbols) }
        for keyword in arguments.keywords { visit(keyword.value, symbols) }
        if let list = arguments.list { visit(list, symbols) }
        if let dict = arguments.dict { visit(dict, symbols) }
    }

    // MARK: The scopes inside

    private mutating func descend(_ body: [Statement], _ symbols: Symbols) {
        for statement in body {
            switch statement {
            case .text, .output, .set, .breakLoop, .continueLoop, .refused: break
            case .branches(let branches, let otherwise):
                for branch in branches { descend(branch.body, symbols) }
                descend(otherwise, symbols)
            case .loop(let loop):
                enter(loop.bodyScope, parent: symbols, body: loop.body) { inner in
                    inner.declare(loop.loopName)
                    Self.declare(loop.target, inner)
                }
                if loop.test != nil {
                    enter(loop.testScope, parent: symbols, body: []) { Self.declare(loop.target, $0) }
                }
                enter(loop.otherwiseScope, parent: symbols, body: loop.otherwise) { _ in }
            case .capture(_, _, let body, let scope, _, _), .filter(_, let body, let scope, _, _),
                .scope(let body, let scope):
                enter(scope, parent: symbols, body: body) { _ in }
            case .macro(let macro), .call(_, _, let macro):
                enter(macro.scope, parent: symbols, body: macro.body) { inner in
                    for parameter in macro.parameters { inner.declare(parameter.name) }
                    for special in [macro.caller, macro.keywords, macro.rest] {
                        if let special { inner.declare(special) }
                    }
                }
            case .with(let bindings, let body, let scope):
                enter(scope, parent: symbols, body: body) { inner in
                    for (target, _) in bindings { Self.declare(target, inner) }
                }
            }
        }
    }

    private static func declare(_ target: Target, _ symbols: Symbols) {
        switch target {
        case .name(let name): symbols.declare(name)
        case .attribute: break
        case .tuple(let targets): for target in targets { declare(target, symbols) }
        }
    }
}
