/// An expression. Operators of one precedence and what follows a primary expression are kept flat, so that long
/// chains nest no deeper than short ones. Names are numbers into the template's table.
indirect enum Expression: Sendable {
    case constant(Constant)
    case name(Int)
    case list([Expression])
    case tuple([Expression])
    case dict([(key: Expression, value: Expression)])
    case chain(Expression, [Link])
    case arithmetic(Expression, [(ArithmeticOperator, Expression)])
    case concatenation([Expression])
    case comparison(Expression, [(ComparisonOperator, Expression)])
    case and([Expression])
    case or([Expression])
    case not(Expression)
    case negative(Expression)
    case positive(Expression)
    case conditional(Expression, test: Expression, otherwise: Expression?, line: Int)
}

enum Constant: Sendable {
    case none
    case bool(Bool)
    case integer(BigInteger)
    case float(Double)
    case string(String)
}

/// What may follow an expression: `.name`, `[…]`, `(…)`, `|filter`, `is test`.
enum Link: Sendable {
    case attribute(String)
    case item(Expression)
    case slice(start: Expression?, stop: Expression?, step: Expression?)
    case call(Arguments)
    case filter(String, Arguments)
    case test(String, Arguments, negated: Bool)
}

struct Arguments: Sendable {
    var positional: [Expression] = []
    var keywords: [(name: String, value: Expression)] = []
    var list: Expression?
    var dict: Expression?
}

enum ArithmeticOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", modulo = "%", power =
        "**"
}

enum ComparisonOperator: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case contained = "in", notContained = "not in"
}

/// An expression with the place that errors name.
struct Located: Sendable {
    let expression: Expression
    let line: Int
    let range: Range<Int>
}

indirect enum Target: Sendable {
    case name(Int)
    case attribute(namespace: Int, name: String)
    case tuple([Target])
}

indirect enum Statement: Sendable {
    case text(String)
    case output(Located)
    case branches([(test: Located, body: [Statement])], otherwise: [Statement])
    case loop(ForLoop)
    case set(Target, Located)
    case capture(Target, filters: [Link], body: [Statement], scope: Int, line: Int, range: Range<Int>)
    case macro(MacroDefinition)
    case call(Located, Arguments, MacroDefinition)
    case filter([Link], body: [Statement], scope: Int, line: Int, range: Range<Int>)
    case with([(Target, Located)], body: [Statement], scope: Int)
    case scope([Statement], scope: Int)
    case breakLoop
    case continueLoop
    /// A tag that can be read but not rendered here.
    case refused(String, line: Int, range: Range<Int>)
}

struct ForLoop: Sendable {
    let target: Target
    let sequence: Located
    let test: Located?
    let body: [Statement]
    let otherwise: [Statement]
    let isRecursive: Bool
    let bodyScope: Int, testScope: Int, otherwiseScope: Int
    /// The number of the name `loop`.
    let loopName: Int
}

struct MacroDefinition: Sendable {
    /// Nil for the body of a call block.
    let name: Int?
    let parameters: [(name: Int, defaultValue: Located?)]
    let body: [Statement]
    let scope: Int
    /// Whether the body speaks of `caller`, `kwargs`, `varargs`.
    let caller: Int?, keywords: Int?, rest: Int?
    let line: Int
}

/// A template that was read: its statements, the names in them, and what each scope binds.
struct TemplateTree: Sendable {
    let statements: [Statement]
    let names: [String]
    let scopes: [Scope]
    let source: [UInt8]
}
