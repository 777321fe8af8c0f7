import DoraText

/// A value of a GGUF file's metadata. Strings and arrays stay in the file: these are their places.
enum GGUFValue: Sendable {
    /// Beyond 63 bits it is the nearest that fits.
    case integer(Int)
    /// As text with the fewest digits that mean the same: F32 numbers become what their writer wrote.
    case float(Double, text: String)
    case bool(Bool)
    case string(Range<Int>)
    case array(GGUFArray)

    /// What it is, for messages.
    var kind: String {
        switch self {
        case .integer(let value): "the integer \(value)"
        case .float(_, let text): "the number \(text)"
        case .bool(let value): "\(value)"
        case .string: "a string"
        case .array(let array): "an array of \(array.count)"
        }
    }
}

/// Elements of one type, end to end in the file.
struct GGUFArray: Sendable {
    let type: GGUFValueType
    let count: Int
    let range: Range<Int>
}

/// Types of values, by the numbers that the file has for them (ggml `docs/gguf.md`).
enum GGUFValueType: UInt32, Sendable {
    case u8, i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

    /// Least bytes that a value takes.
    var minimumSize: Int {
        switch self {
        case .u8, .i8, .bool: 1
        case .u16, .i16: 2
        case .u32, .i32, .f32: 4
        case .u64, .i64, .f64, .string: 8
        case .array: 12
        }
    }
}

extension GGUFCursor {
    mutating func value() throws(LoadError) -> GGUFValue {
        try value(of: type())
    }

    private mutating func type() throws(LoadError) -> GGUFValueType {
        let number = try integer(UInt32.self)
        guard let type = GGUFValueType(rawValue: number) else {
            throw malformed(expected: "a type of values from 0 to 12", found: "\(number)")
        }
        return type
    }

    mutating func value(of type: GGUFValueType) throws(LoadError) -> GGUFValue {
        switch type {
        case .u8: return .integer(Int(try integer(UInt8.self)))
        case .i8: return .integer(Int(try integer(Int8.self)))
        case .u16: return .integer(Int(try integer(UInt16.self)))
        case .i16: return .integer(Int(try integer(Int16.self)))
        case .u32: return .integer(Int(try integer(UInt32.self)))
        case .i32: return .integer(Int(try integer(Int32.self)))
        case .u64: return .integer(Int(clamping: try integer(UInt64.self)))
        case .i64: return .integer(Int(try integer(Int64.self)))
        case .f32:
            let value = Float(bitPattern: try integer(UInt32.self))
            return .float(Double(value), text: value.description)
        case .f64:
            let value = Double(bitPattern: try integer(UInt64.self))
            return .float(value, text: value.description)
        case .bool: return .bool(try integer(UInt8.self) != 0)
        case .string: return .string(try string())
        case .array: return .array(try array())
        }
    }

    private mutating func array() throws(LoadError) -> GGUFArray {
        let type = try type()
        guard type != .array else {
            throw malformed(expected: "an array of plain values", found: "an array of arrays")
        }
        let count = try count(of: type.minimumSize)
        let start = offset
        if type == .string {
            for _ in 0..<count { _ = try string() }
        } else {
            try skip(count * type.minimumSize)
        }
        return GGUFArray(type: type, count: count, range: start..<offset)
    }
}
