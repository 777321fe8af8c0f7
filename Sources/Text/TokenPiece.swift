/// What one token stands for by itself, wherever it stands.
package struct TokenPiece: Sendable, Equatable {
    /// Perhaps a part of a character. Of a special token, its spelling.
    package let bytes: [UInt8]
    /// Decoding leaves it out.
    package let isSpecial: Bool

    package init(bytes: [UInt8], isSpecial: Bool) {
        self.bytes = bytes
        self.isSpecial = isSpecial
    }

    /// With U+FFFD in the place of what is no UTF-8 of its own.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension DecoderPlan {
    /// The bytes of a token in the middle of a text: what is done to a text's start and end is left out.
    func piece(_ token: [UInt8]) -> [UInt8] {
        var bytes = token
        for step in tokenSteps {
            switch step {
            case .byteFallback:
                // Nothing after it touches a byte.
                if let byte = ByteToken.byte(bytes) { return [byte] }
            default: bytes = step.applied(to: bytes, isFirst: false)
            }
        }
        if case .byteLevel = fusion {
            var decoded: [UInt8] = []
            if ByteAlphabet.decode(bytes[...], into: &decoded) { bytes = decoded }
        }
        for case .replace(let pattern, let content) in textSteps {
            bytes = TokenStep.replace(pattern, content).applied(to: bytes, isFirst: false)
        }
        return bytes
    }
}
