/// Turns a parsed regular expression into the matcher's instructions.
struct ScalarExpressionCompiler {
    private typealias Instruction = ScalarExpression.Instruction
    typealias Node = ScalarExpressionParser.Node

    /// Repeated groups are written out, so a short expression can grow long.
    private static let instructionLimit = 10_000

    private var program: [ScalarExpression.Instruction] = []

    var finished: [ScalarExpression.Instruction] { program + [.accept] }

    mutating func compile(_ node: Node) throws(ScalarExpression.Problem) {
        guard program.count < Self.instructionLimit else {
            throw unsupported("a regular expression of more than \(Self.instructionLimit) steps")
        }
        switch node {
        case .set(let set): program.append(.one(set))
        case .anchor(let anchor): program.append(anchor)
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .choice(let branches): try compile(branches)
        case .loop(.set(let set), let limits): program.append(.run(set, limits))
        case .loop(let body, let limits): try compile(body, limits)
        case .look(let body, let ahead, let expected):
            try enclose(body) { next, length in
                ahead
                    ? .look(expected: expected, next: next)
                    : .lookBehind(scalars: length, expected: expected, next: next)
            }
            if !ahead, body.length == nil { throw unsupported("a look-behind of variable length") }
        case .atomic(let body): try enclose(body) { next, _ in .atomic(next: next) }
        }
    }

    private func unsupported(_ what: String) -> ScalarExpression.Problem {
        ScalarExpression.Problem(code: .unsupported, problem: "\(what) is not supported")
    }

    private mutating func enclose(
        _ body: Node, _ opening: (_ next: Int, _ length: Int) -> ScalarExpression.Instruction
    ) throws(ScalarExpression.Problem) {
        let place = program.count
        program.append(.accept)
        try compile(body)
        program.append(.accept)
        program[place] = opening(program.count, body.length ?? 0)
    }

    private mutating func compile(_ branches: [Node]) throws(ScalarExpression.Problem) {
        var exits: [Int] = []
        for (index, branch) in branches.enumerated() {
            if index == branches.count - 1 {
                try compile(branch)
                continue
            }
            let fork = program.count
            program.append(.accept)
            try compile(branch)
            exits.append(program.count)
            program.append(.accept)
            program[fork] = .split(fork + 1, program.count)
        }
        for exit in exits { program[exit] = .jump(program.count) }
    }

    private mutating func compile(
        _ body: Node, _ limits: ScalarExpression.Repeat
    ) throws(ScalarExpression.Problem) {
        if limits.mode == .possessive {
            var greedy = limits
            greedy.mode = .greedy
            return try compile(.atomic(.loop(body, greedy)))
        }
        if limits.most == .max, body.canBeEmpty { throw unsupported("an endless loop of what may be empty") }
        for _ in 0..<limits.least { try compile(body) }
        func fork(_ inside: Int, _ outside: Int) -> ScalarExpression.Instruction {
            limits.mode == .lazy ? .split(outside, inside) : .split(inside, outside)
        }
        if limits.most == .max {
            let place = program.count
            program.append(.accept)
            try compile(body)
            program.append(.jump(place))
            program[place] = fork(place + 1, program.count)
            return
        }
        var forks: [Int] = []
        for _ in limits.least..<limits.most {
            forks.append(program.count)
            program.append(.accept)
            try compile(body)
        }
        for place in forks { program[place] = fork(place + 1, program.count) }
    }
}

extension ScalarExpressionParser.Node {
    fileprivate var canBeEmpty: Bool {
        switch self {
        case .set: false
        case .sequence(let nodes): nodes.allSatisfy(\.canBeEmpty)
        case .choice(let nodes): nodes.contains(where: \.canBeEmpty)
        case .loop(let body, let limits): limits.least == 0 || body.canBeEmpty
        case .look, .anchor: true
        case .atomic(let body): body.canBeEmpty
        }
    }

    /// The number of scalars of every match, if there is but one.
    fileprivate var length: Int? {
        switch self {
        case .set: 1
        case .sequence(let nodes):
            nodes.reduce(0) { sum, node in sum.flatMap { sum in node.length.map { sum + $0 } } }
        case .choice(let nodes): nodes.allSatisfy { $0.length == nodes[0].length } ? nodes[0].length : nil
        case .loop(let body, let limits):
            limits.least == limits.most ? body.length.map { $0 * limits.least } : nil
        case .look, .anchor: 0
        case .atomic(let body): body.length
        }
    }
}
