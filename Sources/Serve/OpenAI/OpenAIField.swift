import DoraText

/// One field of a request, and what becomes of it.
struct OpenAIField: Sendable {
    enum Verdict: Sendable {
        /// It acts: `OpenAIRequest` reads it.
        case read
        /// No answer that was promised depends on it.
        case silent
        /// It has no effect, and the client hears of that, unless it asks for what is done anyway.
        case warned(unless: Neutral)
        /// The answer would be another one; unless it asks for what is done anyway.
        case refused(unless: Neutral, because: String)
    }

    /// What a value must be, whatever becomes of it.
    struct Kind: Sendable {
        let description: String
        let holds: @Sendable (JSONValue) -> Bool

        static let bool = Kind(description: "true or false") { $0.bool != nil }
        static let string = Kind(description: "a string") { $0.string != nil }
        static let array = Kind(description: "an array") { $0.array != nil }
        static let object = Kind(description: "an object") { $0.object != nil }
        static let any = Kind(description: "JSON") { _ in true }

        static func integer(_ range: ClosedRange<Int>) -> Kind {
            var description = "an integer"
            if range.lowerBound > .min { description += " from \(range.lowerBound)" }
            if range.upperBound < .max { description += " to \(range.upperBound)" }
            return Kind(description: description) { $0.int.map(range.contains) ?? false }
        }

        static func number(_ range: ClosedRange<Double>) -> Kind {
            let description = "a number from \(range.lowerBound) to \(range.upperBound)"
            return Kind(description: description) { $0.double.map(range.contains) ?? false }
        }
    }

    /// Values that ask for nothing beyond what is done anyway.
    struct Neutral: Sendable {
        /// Whether there is any, apart from emptiness: then another value is at fault, not the field.
        let isValue: Bool
        let holds: @Sendable (JSONValue) -> Bool

        static let never = Neutral(isValue: false) { _ in false }
        static let empty = Neutral(isValue: false) { $0.isFalsy }
        /// The only ones that are text.
        static let text = Neutral(isValue: true) { $0.array == [.string("text")] }

        static func numbers(_ values: Double...) -> Neutral {
            Neutral(isValue: true) { $0.double.map(values.contains) ?? false }
        }
    }

    /// One that ends with `*` stands for all that begin so.
    let name: String
    let endpoints: [OpenAIEndpoint]
    let kind: Kind
    let verdict: Verdict

    init(
        _ name: String, _ kind: Kind, _ verdict: Verdict,
        in endpoints: [OpenAIEndpoint] = OpenAIEndpoint.allCases
    ) {
        self.name = name
        self.kind = kind
        self.verdict = verdict
        self.endpoints = endpoints
    }

    /// - Returns: whether the client should hear that the value has no effect.
    func isIgnored(_ value: JSONValue, as name: String) throws(OpenAIError) -> Bool {
        guard kind.holds(value) else { throw .invalid(name, "must be \(kind.description)") }
        switch verdict {
        case .read, .silent: return false
        case .warned(let neutral): return !neutral.holds(value)
        case .refused(let neutral, let reason):
            if neutral.holds(value) { return false }
            throw .unsupported(name, isValue: neutral.isValue, "\"\(name)\" is not supported: \(reason)")
        }
    }
}
