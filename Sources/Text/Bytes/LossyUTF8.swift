/// Bytes that arrive in parts, as text: an ill-formed maximal subpart becomes U+FFFD, the start of a character
/// waits for the rest of it.
struct LossyUTF8: Sendable {
    private var pending: [UInt8] = []

    mutating func append(_ bytes: [UInt8], into text: inout [UInt8]) {
        pending.append(contentsOf: bytes)
        var index = 0
        scan: while index < pending.count {
            switch UTF8Bytes.unit(in: pending, at: index, end: pending.count) {
            case .scalar(let length):
                text.append(contentsOf: pending[index..<index + length])
                index += length
            case .invalid(let length):
                text.append(contentsOf: UTF8Bytes.replacement)
                index += length
            case .incomplete: break scan
            }
        }
        pending.removeSubrange(..<index)
    }

    mutating func finish(into text: inout [UInt8]) {
        if !pending.isEmpty { text.append(contentsOf: UTF8Bytes.replacement) }
        pending.removeAll()
    }
}
