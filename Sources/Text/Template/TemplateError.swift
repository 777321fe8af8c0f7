/// Why a template cannot be read or rendered: which template, where in it, and what is wrong.
package struct TemplateError: Error, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The template's text is not Jinja.
        case syntax
        /// The template itself refused its input, by `raise_exception`; the message is the template's own.
        case raised
        /// Something undefined was used.
        case undefined
        /// An operation on values that do not have it.
        case type
        /// What transformers' sandbox forbids.
        case forbidden
        /// The template does more than is allowed: steps, output, nesting.
        case limit
        /// The conversation itself is malformed.
        case messages
    }

    package let kind: Kind
    package let template: String
    /// Counted from 1; nil if the error has no place in the template.
    package let line: Int?
    /// The expression or tag that failed, as the template spells it, perhaps shortened.
    package let expression: String?
    /// For `.raised` exactly what the template said.
    package let message: String

    package init(
        _ kind: Kind, template: String, line: Int? = nil, expression: String? = nil, message: String
    ) {
        self.kind = kind
        self.template = template
        self.line = line
        self.expression = expression
        self.message = message
    }

    /// One line, whatever the template says.
    package var description: String {
        var place = template
        if let line { place += ", line \(line)" }
        if kind == .raised {
            let reason = message.isEmpty ? ", and does not say why" : ": \(message)"
            return "\(place): the template refuses the conversation\(reason)".printable
        }
        if let expression { place += ", in \"\(expression)\"" }
        return "\(place): \(message)".printable
    }
}

/// An error on its way to the statement that knows its place.
struct Failure: Error {
    let kind: TemplateError.Kind
    let message: String

    static func type(_ message: String) -> Failure { Failure(kind: .type, message: message) }
    static func undefined(_ message: String) -> Failure { Failure(kind: .undefined, message: message) }
    static func limit(_ message: String) -> Failure { Failure(kind: .limit, message: message) }
    static func syntax(_ message: String) -> Failure { Failure(kind: .syntax, message: message) }
}
