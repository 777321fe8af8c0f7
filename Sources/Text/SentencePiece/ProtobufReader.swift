/// Walks the fields of one protocol buffer message.
struct ProtobufReader {
    enum Value {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// Four or eight bytes, least significant first.
        case fixed(ArraySlice<UInt8>)
    }

    let file: String
    /// The message's name, for complaints.
    let field: String
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>, file: String, field: String) {
        rest = bytes
        self.file = file
        self.field = field
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(LoadError) -> (number: Int, value: Value)? {
        if rest.isEmpty { return nil }
        let tag = try varint()
        let number = Int(truncatingIfNeeded: tag >> 3)
        guard number > 0, tag >> 3 < 1 << 29 else { throw error("a field has the number 0") }
        switch tag & 7 {
        case 0: return (number, .number(try varint()))
        case 1: return (number, .fixed(try take(8)))
        case 2:
            let length = try varint()
            guard length <= UInt64(rest.count) else { throw error("a field reaches beyond the end") }
            return (number, .bytes(try take(Int(length))))
        case 5: return (number, .fixed(try take(4)))
        default: throw error("field \(number) has the unknown wire type \(tag & 7)")
        }
    }

    func error(_ problem: String) -> LoadError {
        LoadError(.malformed, file: file, field: field, "\(problem) (at byte \(rest.startIndex))")
    }

    private mutating func take(_ count: Int) throws(LoadError) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw error("a field reaches beyond the end") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func varint() throws(LoadError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            guard let byte = rest.popFirst() else { throw error("a number is cut off") }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw error("a number has more than ten bytes")
    }
}
