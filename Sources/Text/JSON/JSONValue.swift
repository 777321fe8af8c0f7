/// A number as it was written, so that integers beyond 2^53 and the digits of floats survive.
package struct JSONNumber: Equatable, Sendable {
    package let text: String

    package init(text: String) { self.text = text }

    package var int: Int? { Int(text) ?? exactDouble }
    package var double: Double? { Double(text) }

    /// `1e3` and `8.0` are integers too; Python writes both. Beyond 2^53 the double may be a neighbour of what was written.
    private var exactDouble: Int? {
        double.flatMap { $0.magnitude < 0x1p53 ? Int(exactly: $0) : nil }
    }
}

/// A whole JSON document. Objects keep the order of their members: PEFT's patterns depend on it.
package enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package static func integer(_ value: Int) -> JSONValue { .number(JSONNumber(text: "\(value)")) }

    /// - Parameter value: finite, since JSON has no other numbers.
    package static func decimal(_ value: Double) -> JSONValue { .number(JSONNumber(text: "\(value)")) }

    /// Parses one document; a duplicate key is an error.
    package init(parsing bytes: [UInt8], allowsNonFinite: Bool = false) throws {
        var reader = JSONReader(bytes, allowsNonFinite: allowsNonFinite)
        self = try JSONValue(from: &reader)
        try reader.readEnd()
    }

    package init(from reader: inout JSONReader) throws {
        switch try reader.peek() {
        case .object:
            var object = JSONObject()
            try reader.readObject { key, reader in
                let offset = reader.offset
                guard object.append(key, try JSONValue(from: &reader)) else {
                    throw JSONReader.SyntaxError(offset: offset, problem: "the key \"\(key)\" stands twice")
                }
            }
            self = .object(object)
        case .array:
            var elements: [JSONValue] = []
            try reader.readArray { reader in elements.append(try JSONValue(from: &reader)) }
            self = .array(elements)
        case .string: self = .string(try reader.readString())
        case .number: self = .number(try reader.readNumber())
        case .bool: self = .bool(try reader.readBool())
        case .null:
            try reader.readNull()
            self = .null
        }
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var int: Int? { if case .number(let value) = self { value.int } else { nil } }
    package var double: Double? { if case .number(let value) = self { value.double } else { nil } }
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// Null, false, zero, and empty strings, arrays and objects: what Python's `if value` skips.
    package var isFalsy: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .number(let value): value.double == 0
        case .string(let value): value.isEmpty
        case .array(let value): value.isEmpty
        case .object(let value): value.members.isEmpty
        }
    }
}

extension JSONValue: CustomStringConvertible {
    /// Short, for error messages.
    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): value.text
        case .string(let value): "\"\(value.count > 60 ? String(value.prefix(57)) + "..." : value)\""
        case .array(let value): "an array of \(value.count)"
        case .object(let value): "an object with \(value.members.count) keys"
        }
    }
}

/// The members of an object in file order. Keys are compared byte by byte, not by canonical equivalence.
package struct JSONObject: Equatable, Sendable {
    package private(set) var members: [(key: String, value: JSONValue)] = []
    private var indices: [[UInt8]: Int] = [:]

    package init() {}

    package subscript(key: String) -> JSONValue? {
        indices[Array(key.utf8)].map { members[$0].value }
    }

    /// Appends a member, or answers false if its key is there already.
    package mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        guard indices.updateValue(members.count, forKey: Array(key.utf8)) == nil else { return false }
        members.append((key, value))
        return true
    }

    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.elementsEqual(b.members) { $0.key == $1.key && $0.value == $1.value }
    }
}
