/// Unicode's compatibility decomposition, which takes ligatures, widths and styles for the letters that they show. Followed
/// by a `CanonicalForm` it is NFKC or NFKD.
enum CompatibilityForm {
    /// By scalar. Takes about a millisecond once per process.
    private static let decompositions: [UInt32: [UInt8]] = {
        guard let bytes = Base64.decode(Array(CompatibilityTable.runs.utf8)) else { return [:] }
        var rest = bytes[...]
        func number() -> Int {
            var value = 0
            var shift = 0
            while let byte = rest.popFirst() {
                value |= Int(byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            return value
        }
        var decompositions: [UInt32: [UInt8]] = [:]
        var scalar = 0
        while !rest.isEmpty {
            scalar += number()
            let count = number()
            let length = number()
            let text = Array(rest.prefix(length))
            rest = rest.dropFirst(text.count)
            for step in 0..<count {
                decompositions[UInt32(scalar + step)] = step == 0 ? text : following(text, by: step)
            }
            scalar += count
        }
        return decompositions
    }()

    /// The scalar that stands `step` behind the one that is `text`.
    private static func following(_ text: [UInt8], by step: Int) -> [UInt8] {
        let first = UTF8Bytes.scalar(in: text, at: 0).value
        return Unicode.Scalar(first + UInt32(step)).map { Array(String($0).utf8) } ?? text
    }

    static func apply(_ text: [UInt8]) -> [UInt8] {
        guard text.contains(where: { $0 >= 0xC2 }) else { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, length) = UTF8Bytes.scalar(in: text, at: index)
            if value >= 0xA0, let decomposition = decompositions[value] {
                output.append(contentsOf: decomposition)
            } else {
                output.append(contentsOf: text[index..<index + length])
            }
            index += length
        }
        return output
    }
}
