/// JSON text as it is written: compact, one line, members in the order in which they come.
///
/// Nothing is built between a value and its bytes, so that a piece of a stream costs microseconds.
package struct JSONLine: Sendable, Equatable {
    package private(set) var bytes: [UInt8]

    package init() { bytes = [] }

    /// - Parameter capacity: bytes that it will take.
    package init(capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package mutating func object(_ members: (inout JSONLine) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "{"))
        members(&self)
        bytes.append(UInt8(ascii: "}"))
    }

    package mutating func array(_ elements: (inout JSONLine) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "["))
        elements(&self)
        bytes.append(UInt8(ascii: "]"))
    }

    /// A value must follow.
    package mutating func key(_ name: String) {
        value(name)
        bytes.append(UInt8(ascii: ":"))
    }

    package mutating func null() { raw("null".utf8) }
    package mutating func value(_ flag: Bool) { raw((flag ? "true" : "false").utf8) }
    package mutating func value(_ number: Int) { raw("\(number)".utf8) }

    /// JSON has no infinity: null.
    package mutating func value(_ number: Double) {
        if number.isFinite { raw("\(number)".utf8) } else { null() }
    }

    package mutating func value(_ string: String?) {
        guard var string else { return null() }
        separate()
        bytes.append(UInt8(ascii: "\""))
        string.withUTF8 { escape($0) }
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func value(_ numbers: some Sequence<Int>) {
        array { line in for number in numbers { line.value(number) } }
    }

    /// What is JSON already: a value, or members of the object in hand.
    package mutating func raw(_ json: [UInt8]) {
        separate()
        bytes += json
    }

    mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    /// What precedes a value that is not the first in its place; strings end with a quotation mark, whatever they hold.
    private mutating func separate() {
        switch bytes.last {
        case nil, UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: ":"): break
        default: bytes.append(UInt8(ascii: ","))
        }
    }

    private mutating func escape(_ utf8: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for (index, byte) in utf8.enumerated()
        where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
            bytes.append(contentsOf: utf8[start..<index])
            start = index + 1
            bytes.append(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\n"): bytes.append(UInt8(ascii: "n"))
            case UInt8(ascii: "\r"): bytes.append(UInt8(ascii: "r"))
            case UInt8(ascii: "\t"): bytes.append(UInt8(ascii: "t"))
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
            default:
                let digits = Array("0123456789abcdef".utf8)
                bytes.append(contentsOf: "u00".utf8)
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            }
        }
        bytes.append(contentsOf: utf8[start...])
    }
}
