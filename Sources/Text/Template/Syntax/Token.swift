/// A piece of a template with its place in the source.
struct Token {
    enum Kind: Equatable {
        case data(String)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string(String)
        case integer(BigInteger)
        case float(Double)
        case symbol(Symbol)
        case end
    }

    enum Symbol: String, CaseIterable {
        case power = "**", floorDivide = "//", equal = "==", notEqual = "!=", lessOrEqual = "<=",
            greaterOrEqual = ">="
        case add = "+", subtract = "-", divide = "/", multiply = "*", modulo = "%", tilde = "~"
        case leftBracket = "[", rightBracket = "]", leftParenthesis = "(", rightParenthesis = ")"
        case leftBrace = "{", rightBrace = "}", greater = ">", less = "<", assign = "=", dot = ".", colon =
            ":"
        case pipe = "|", comma = ",", semicolon = ";"

        /// The bracket that closes an opening one.
        var closing: Symbol? {
            switch self {
            case .leftBracket: .rightBracket
            case .leftParenthesis: .rightParenthesis
            case .leftBrace: .rightBrace
            default: nil
            }
        }
    }

    let kind: Kind
    let line: Int
    /// Bytes of the source.
    let range: Range<Int>
}

extension Token.Kind {
    /// The token as error messages name it.
    var description: String {
        switch self {
        case .data: "template data / text"
        case .variableBegin: "begin of print statement"
        case .variableEnd: "end of print statement"
        case .blockBegin: "begin of statement block"
        case .blockEnd: "end of statement block"
        case .name(let name): name
        case .string: "string"
        case .integer: "integer"
        case .float: "float"
        case .symbol(let symbol): symbol.rawValue
        case .end: "end of template"
        }
    }
}

/// A syntax error with its line.
struct SyntaxFailure: Error {
    let message: String
    let line: Int
}
