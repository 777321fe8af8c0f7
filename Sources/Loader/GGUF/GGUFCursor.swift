import DoraText

/// Reads the beginning of a GGUF file from front to back. Each length is checked against what is left before it is used.
struct GGUFCursor {
    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private(set) var offset: Int
    /// What is being read, for messages.
    var field = "header"

    /// - Parameter offset: at most `bytes.count`.
    init(_ bytes: UnsafeRawBufferPointer, file: String, offset: Int = 0) {
        self.bytes = bytes
        self.file = file
        self.offset = offset
    }

    mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(LoadError) -> Value {
        let start = try skip(MemoryLayout<Value>.size)
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: type))
    }

    /// A length or a count.
    /// - Parameter size: least bytes that each of what is counted takes.
    mutating func count(of size: Int) throws(LoadError) -> Int {
        let count = try integer(UInt64.self)
        let room = (bytes.count - offset) / size
        guard count <= UInt64(room) else {
            throw malformed(
                expected: "at most \(room), which the rest of the file has room for", found: "\(count)")
        }
        return Int(count)
    }

    /// Where the bytes of a string lie.
    mutating func string() throws(LoadError) -> Range<Int> {
        let length = try count(of: 1)
        let start = try skip(length)
        return start..<start + length
    }

    /// A string that must be UTF-8.
    mutating func text(atMost limit: Int) throws(LoadError) -> String {
        let range = try string()
        guard range.count <= limit else {
            throw malformed(expected: "a name of at most \(limit) bytes", found: "\(range.count) bytes")
        }
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw malformed(expected: "UTF-8", found: "other bytes at byte \(range.lowerBound)")
        }
        return text
    }

    /// - Returns: where the bytes begin that are skipped.
    @discardableResult
    mutating func skip(_ count: Int) throws(LoadError) -> Int {
        guard count >= 0, count <= bytes.count - offset else {
            throw malformed(
                expected: "\(count) more bytes at byte \(offset)",
                found: "\(bytes.count - offset), the file's end")
        }
        offset += count
        return offset - count
    }

    func malformed(expected: String, found: String) -> LoadError {
        LoadError(
            .malformed, file: file, field: field, expected: expected, found: found,
            advice: "the file is damaged or cut short; download it again")
    }
}
