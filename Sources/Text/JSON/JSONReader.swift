/// A pull parser over the bytes of one JSON document: values are visited in file order and nothing is built
/// that the caller does not ask for, so a 10 MB `tokenizer.json` is read straight into its final tables.
///
/// Strict RFC 8259: no comments, no trailing commas, no NaN unless it is asked for; strings must be UTF-8 without lone
/// surrogates.
package struct JSONReader: Sendable {
    package enum Kind: String, Sendable {
        case object, array, string, number, bool, null
    }

    /// A syntax error with its byte offset; callers turn it into a `LoadError` that names the file.
    package struct SyntaxError: Error, Equatable, CustomStringConvertible {
        package let offset: Int
        package let problem: String

        package var description: String { "invalid JSON at byte \(offset): \(problem)" }
    }

    /// Nesting beyond this is refused, so that hostile input cannot exhaust the stack.
    package static let maximumDepth = 128

    private let bytes: [UInt8]
    private let allowsNonFinite: Bool
    package private(set) var offset = 0
    private var depth = 0

    /// - Parameter allowsNonFinite: `NaN`, `Infinity` and `-Infinity` are numbers, as Python's `json` writes them.
    package init(_ bytes: [UInt8], allowsNonFinite: Bool = false) {
        self.bytes = bytes
        self.allowsNonFinite = allowsNonFinite
    }

    /// The kind of the next value, which is not consumed.
    package mutating func peek() throws(SyntaxError) -> Kind {
        skipWhitespace()
        guard let byte = current else { throw error("the text ends where a value should stand") }
        switch byte {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "N") where allowsNonFinite, UInt8(ascii: "I") where allowsNonFinite: return .number
        default: throw error("no value starts here")
        }
    }

    /// Calls `member` once per member, positioned before its value, which `member` must consume.
    package mutating func readObject(
        _ member: (_ key: String, _ reader: inout JSONReader) throws -> Void
    ) throws {
        try open(UInt8(ascii: "{"))
        var first = true
        while try !close(UInt8(ascii: "}"), first: first) {
            first = false
            let key = try readString()
            try expect(UInt8(ascii: ":"))
            try member(key, &self)
        }
    }

    /// As `readObject`, with the unescaped bytes of each key in a buffer that is reused: for objects with
    /// hundreds of thousands of members.
    package mutating func readMembers(
        _ member: (_ key: [UInt8], _ reader: inout JSONReader) throws -> Void
    ) throws {
        var key: [UInt8] = []
        try open(UInt8(ascii: "{"))
        var first = true
        while try !close(UInt8(ascii: "}"), first: first) {
            first = false
            key.removeAll(keepingCapacity: true)
            try readString(into: &key)
            try expect(UInt8(ascii: ":"))
            try member(key, &self)
        }
    }

    /// Calls `element` once per element, positioned before it; `element` must consume it.
    package mutating func readArray(_ element: (_ reader: inout JSONReader) throws -> Void) throws {
        try open(UInt8(ascii: "["))
        var first = true
        while try !close(UInt8(ascii: "]"), first: first) {
            first = false
            try element(&self)
        }
    }

    package mutating func readString() throws(SyntaxError) -> String {
        let start = offset
        var text: [UInt8] = []
        try readString(into: &text)
        guard let string = String(validating: text, as: UTF8.self) else {
            throw SyntaxError(offset: start, problem: "a string is not valid UTF-8")
        }
        return string
    }

    /// Appends the unescaped bytes of the next string to `text`. Escapes become UTF-8; raw bytes are copied as
    /// they are, so only `readString() -> String` vouches for their validity.
    package mutating func readString(into text: inout [UInt8]) throws(SyntaxError) {
        try expect(UInt8(ascii: "\""))
        var runStart = offset
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                text.append(contentsOf: bytes[runStart..<offset])
                offset += 1
                return
            }
            if byte == UInt8(ascii: "\\") {
                text.append(contentsOf: bytes[runStart..<offset])
                offset += 1
                try readEscape(into: &text)
                runStart = offset
            } else if byte < 0x20 {
                throw error("a control character stands unescaped in a string")
            } else {
                offset += 1
            }
        }
        throw error("a string is not closed")
    }

    /// The digits of the next number, as written.
    package mutating func readNumber() throws(SyntaxError) -> JSONNumber {
        skipWhitespace()
        let start = offset
        if current == UInt8(ascii: "-") { offset += 1 }
        switch current {
        case UInt8(ascii: "N") where allowsNonFinite && start == offset: try literal("NaN")
        case UInt8(ascii: "I") where allowsNonFinite: try literal("Infinity")
        default: try skipFiniteNumber()
        }
        return JSONNumber(text: String(decoding: bytes[start..<offset], as: UTF8.self))
    }

    /// The next number, if it is a whole one of at least 0; a shortcut past the text of `readNumber`.
    package mutating func readIndex() throws(SyntaxError) -> Int? {
        skipWhitespace()
        var index = offset
        var value = 0
        while index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]),
            value < 1 << 40
        {
            value = value * 10 + Int(bytes[index] - UInt8(ascii: "0"))
            index += 1
        }
        if index > offset, index < bytes.count, bytes[offset] != UInt8(ascii: "0") || index == offset + 1 {
            switch bytes[index] {
            case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"):
                offset = index
                return value
            default: break
            }
        }
        guard let number = try readNumber().int, number >= 0 else { return nil }
        return number
    }

    package mutating func readBool() throws(SyntaxError) -> Bool {
        skipWhitespace()
        if current == UInt8(ascii: "t") {
            try literal("true")
            return true
        }
        try literal("false")
        return false
    }

    package mutating func readNull() throws(SyntaxError) {
        skipWhitespace()
        try literal("null")
    }

    package mutating func skipValue() throws {
        switch try peek() {
        case .object: try readObject { _, reader in try reader.skipValue() }
        case .array: try readArray { reader in try reader.skipValue() }
        case .string:
            var ignored: [UInt8] = []
            try readString(into: &ignored)
        case .number: _ = try readNumber()
        case .bool: _ = try readBool()
        case .null: try readNull()
        }
    }

    /// Checks that nothing but white space follows the document.
    package mutating func readEnd() throws(SyntaxError) {
        skipWhitespace()
        if offset < bytes.count { throw error("something follows the end of the document") }
    }
}

extension JSONReader {
    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private func error(_ problem: String) -> SyntaxError {
        SyntaxError(offset: offset, problem: problem)
    }

    private mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    private mutating func expect(_ byte: UInt8) throws(SyntaxError) {
        skipWhitespace()
        guard current == byte else { throw error("expected '\(Character(UnicodeScalar(byte)))'") }
        offset += 1
    }

    private mutating func open(_ bracket: UInt8) throws(SyntaxError) {
        try expect(bracket)
        depth += 1
        if depth > Self.maximumDepth { throw error("nested more than \(Self.maximumDepth) deep") }
    }

    /// Consumes the closing bracket, or the comma before a further item.
    private mutating func close(_ bracket: UInt8, first: Bool) throws(SyntaxError) -> Bool {
        skipWhitespace()
        if current == bracket {
            offset += 1
            depth -= 1
            return true
        }
        if !first { try expect(UInt8(ascii: ",")) }
        return false
    }

    private mutating func literal(_ word: StaticString) throws(SyntaxError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[index] else { throw error("expected \(word)") }
            offset += 1
        }
    }

    private mutating func skipFiniteNumber() throws(SyntaxError) {
        if current == UInt8(ascii: "0") { offset += 1 } else { try skipDigits() }
        if current == UInt8(ascii: ".") {
            offset += 1
            try skipDigits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            try skipDigits()
        }
    }

    private mutating func skipDigits() throws(SyntaxError) {
        let start = offset
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        if offset == start { throw error("expected a digit") }
    }

    /// Reads what follows a backslash.
    private mutating func readEscape(into text: inout [UInt8]) throws(SyntaxError) {
        guard let byte = current else { throw error("a string is not closed") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(try readUnicodeEscape()).utf8)
        default: throw error("unknown escape")
        }
    }

    private mutating func readUnicodeEscape() throws(SyntaxError) -> UnicodeScalar {
        var code = try readFourHexDigits()
        if (0xD800..<0xDC00).contains(code) {
            guard current == UInt8(ascii: "\\") else { throw error("a surrogate stands alone") }
            offset += 1
            guard current == UInt8(ascii: "u") else { throw error("a surrogate stands alone") }
            offset += 1
            let low = try readFourHexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw error("a surrogate stands alone") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = UnicodeScalar(code) else { throw error("a surrogate stands alone") }
        return scalar
    }

    private mutating func readFourHexDigits() throws(SyntaxError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
                throw error("expected four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            offset += 1
        }
        return code
    }
}
