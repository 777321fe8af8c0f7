/// How tokens become text again. The steps before the tokens are fused work on each token, those after it on the
/// whole text.
struct DecoderPlan: Sendable {
    /// A step on single tokens.
    enum TokenStep: Sendable {
        case replace(TextPattern, [UInt8])
        case byteFallback
        case strip(Strip)
        /// The replacement becomes a space, or nothing in the first token if that one was prepended.
        case metaspace(replacement: [UInt8], dropsFirst: Bool)
    }

    enum Fusion: Sendable {
        /// Joined as they are; so end also decoders without a `Fuse` step.
        case plain
        /// Without any decoder the reference puts spaces between tokens.
        case spaced
        /// GPT-2's alphabet back to bytes, what is no UTF-8 to U+FFFD.
        case byteLevel
    }

    struct Strip: Sendable {
        /// One scalar.
        let content: [UInt8]
        let start: Int
        let stop: Int
    }

    private(set) var tokenSteps: [TokenStep] = []
    private(set) var fusion = Fusion.plain
    private(set) var textSteps: [TokenStep] = []
    private var isFused = false

    /// `component` nil stands for `"decoder": null`.
    init(_ component: JSONComponent?) throws(LoadError) {
        guard let component else {
            fusion = .spaced
            return
        }
        try add(component)
    }

    /// `▁` is a space, byte tokens are bytes, and the space that was put before a text is dropped.
    static func sentencePiece(dropsFirstSpace: Bool) -> DecoderPlan {
        var plan = DecoderPlan()
        plan.tokenSteps = [.replace(.literal(SentencePieces.space), [UInt8(ascii: " ")]), .byteFallback]
        plan.textSteps =
            dropsFirstSpace ? [.strip(Strip(content: [UInt8(ascii: " ")], start: 1, stop: 0))] : []
        return plan
    }

    private init() {}

    private mutating func add(_ component: JSONComponent) throws(LoadError) {
        switch try component.string("type") {
        case "Sequence": for step in try component.components("decoders") { try add(step) }
        case "Fuse": isFused = true
        case "ByteLevel":
            guard !isFused else {
                throw component.unsupported("type", "a ByteLevel decoder after fused tokens is not supported")
            }
            isFused = true
            fusion = .byteLevel
        case "Replace":
            append(
                .replace(try TextPattern(component.component("pattern")), try component.bytes("content")))
        case "ByteFallback": append(.byteFallback)
        case "Strip":
            append(
                .strip(
                    Strip(
                        content: try component.scalar("content"), start: try component.count("start"),
                        stop: try component.count("stop"))))
        case "Metaspace":
            let metaspace = try Metaspace(component)
            append(.metaspace(replacement: metaspace.replacement, dropsFirst: metaspace.prepending != .never))
        case let other: throw component.unsupported("type", "the decoder \(other) is not supported")
        }
    }

    private mutating func append(_ step: TokenStep) {
        if isFused { textSteps.append(step) } else { tokenSteps.append(step) }
    }

    func makeDecoder() -> StreamingDecoder { StreamingDecoder(self) }
}
