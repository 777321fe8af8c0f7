/// One adapter in one form, for good: the same identity never means other weights.
package struct AdapterIdentity: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    /// Counts the contents that the name has stood for, from 1.
    package let generation: Int

    package init(name: String, generation: Int) {
        self.name = name
        self.generation = generation
    }

    /// `name@generation`, as the protocol spells it.
    package var description: String { "\(name)@\(generation)" }
}

/// Which weights a request asks for.
package enum AdapterChoice: Sendable, Equatable {
    /// What the server answers with when nothing is named.
    case standard
    /// The base without any adapter.
    case base
    case named(String, generation: Int?)

    /// `name` or `name@generation`.
    package init(_ text: String) throws(EngineError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        try AdapterName.check(String(parts[0]))
        guard parts.count == 2 else {
            self = .named(text, generation: nil)
            return
        }
        // One spelling: what is shown is what may be asked for.
        guard let generation = Int(parts[1]), generation > 0, String(generation) == parts[1] else {
            throw EngineError(
                .invalidRequest, "bad_adapter", "the generation of '\(text)' is no positive number",
                param: "adapter")
        }
        self = .named(String(parts[0]), generation: generation)
    }
}

/// Names are a folder's name under the root: no path, no hidden folder, nothing that a log could misread.
package enum AdapterName {
    package static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 128, first != UInt8(ascii: ".") else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    package static func check(_ name: String) throws(EngineError) {
        if isValid(name) { return }
        throw EngineError(
            .invalidRequest, "bad_adapter",
            "an adapter's name has 1 to 128 letters, digits, '.', '_' and '-', and begins with no '.'",
            param: "adapter")
    }
}
