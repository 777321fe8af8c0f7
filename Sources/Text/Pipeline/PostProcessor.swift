/// The ids that go before and after those of a text when special tokens are asked for.
struct PostProcessor: Equatable, Sendable {
    var before: [Int] = []
    var after: [Int] = []

    /// `ByteLevel` concerns offsets only, which we do not report.
    init(_ component: JSONComponent) throws(LoadError) {
        switch try component.string("type") {
        case "ByteLevel": break
        case "TemplateProcessing": try read(template: component)
        case "Sequence":
            for step in try component.components("processors") {
                let processor = try PostProcessor(step)
                guard processor == PostProcessor() || self == PostProcessor() else {
                    throw step.unsupported("type", "a second template after a first is not supported")
                }
                if processor != PostProcessor() { self = processor }
            }
        case let other: throw component.unsupported("type", "the post-processor \(other) is not supported")
        }
    }

    init() {}

    private mutating func read(template component: JSONComponent) throws(LoadError) {
        let tokens = try component.component("special_tokens")
        var sawText = false
        for item in try component.components("single") {
            if item.object["Sequence"] != nil {
                let sequence = try item.component("Sequence")
                guard try sequence.string("id") == "A", !sawText else {
                    throw sequence.unsupported(
                        "id", "only one sequence, A, is supported in a single template")
                }
                sawText = true
            } else {
                let name = try item.component("SpecialToken").string("id")
                let ids = try Self.ids(tokens.component(name))
                if sawText { after += ids } else { before += ids }
            }
        }
        guard sawText else {
            throw component.error(.malformed, "single", expected: "a template that contains the sequence A")
        }
    }

    private static func ids(_ token: JSONComponent) throws(LoadError) -> [Int] {
        guard let values = token.object["ids"]?.array else {
            throw token.error(.malformed, "ids", expected: "an array of ids")
        }
        var ids: [Int] = []
        for value in values {
            guard let id = value.int, (0..<Vocabulary.idLimit).contains(id) else {
                throw token.error(.malformed, "ids", expected: "ids below \(Vocabulary.idLimit)")
            }
            ids.append(id)
        }
        return ids
    }
}
