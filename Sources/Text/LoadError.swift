/// What was wrong with a file that a user gave, said so that they can mend it.
package struct LoadError: Error, Equatable, Sendable {
    /// The kind of failure: names the exit code and, in tests, what was refused.
    package enum Code: String, Sendable {
        /// A file or folder that must be there is not.
        case missing
        /// A file breaks its own format.
        case malformed
        /// A file is sound but asks for something that would be served wrongly.
        case unsupported
        /// Two files that must fit each other do not.
        case mismatch
    }

    package let code: Code
    /// Path of the file as the user named it, or its folder joined with the file's name.
    package let file: String
    /// Tensor name, JSON key or byte offset in that file.
    package let field: String?
    package let problem: String
    package let advice: String?

    package init(_ code: Code, file: String, field: String? = nil, _ problem: String, advice: String? = nil) {
        self.code = code
        self.file = file
        self.field = field
        self.problem = problem
        self.advice = advice
    }

    /// The commonest shape: something was found where something else was expected.
    package init(
        _ code: Code, file: String, field: String, expected: String, found: String, advice: String? = nil
    ) {
        self.init(code, file: file, field: field, "expected \(expected), found \(found)", advice: advice)
    }
}

extension LoadError: CustomStringConvertible {
    package var description: String {
        let place = field.map { "\(file): \($0): " } ?? "\(file): "
        return place + problem + (advice.map { "; \($0)" } ?? "")
    }
}
