import DoraTensor
import DoraText

/// The table of contents of a safetensors file, checked whole before a byte of data is read.
///
/// Layout: `u64` length N, N bytes of JSON, then the data. Offsets are relative to the data.
struct SafetensorsHeader: Sendable {
    struct Entry: Sendable {
        let elementType: ElementType
        let shape: [Int]
        /// Bytes, relative to the start of the data.
        let range: Range<Int>
    }

    /// As in the reference implementation; a larger header is taken for an attack or for another file type.
    static let maximumLength = 100_000_000

    /// Offset of the data in the file, in bytes.
    let dataStart: Int
    /// In file order.
    private(set) var names: [String] = []
    private(set) var entries: [String: Entry] = [:]
    private(set) var metadata: [String: String] = [:]

    private let file: String

    /// - Parameter bytes: the whole file.
    init(_ bytes: UnsafeRawBufferPointer, file: String) throws(LoadError) {
        self.file = file
        try GitPointer.refuse(bytes, file: file)
        guard bytes.count >= 8 else {
            throw LoadError(
                .malformed, file: file, field: "header length", expected: "8 bytes",
                found: "a file of \(bytes.count)", advice: "download the file again")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        let room = bytes.count - 8
        guard length <= UInt64(Self.maximumLength), length <= UInt64(room) else {
            throw LoadError(
                .malformed, file: file, field: "header length",
                expected: "at most \(min(room, Self.maximumLength)) bytes", found: "\(length)",
                advice: "the file is cut short or no safetensors file; download it again")
        }
        dataStart = 8 + Int(length)
        let text = [UInt8](bytes[8..<dataStart])
        guard text.first == UInt8(ascii: "{") else {
            throw LoadError(
                .malformed, file: file, field: "header", "expected '{' at byte 8",
                advice: "this is no safetensors file")
        }
        try parse(text, dataSize: bytes.count - dataStart)
        try checkCoverage(dataSize: bytes.count - dataStart)
    }
}

extension SafetensorsHeader {
    private mutating func parse(_ text: [UInt8], dataSize: Int) throws(LoadError) {
        var reader = JSONReader(text)
        do {
            try reader.readObject { name, reader in
                let value = try JSONValue(from: &reader)
                if name == "__metadata__" {
                    try readMetadata(value)
                } else {
                    try add(name, value, dataSize: dataSize)
                }
            }
            try reader.readEnd()
        } catch let error as LoadError {
            throw error
        } catch {
            throw LoadError(
                .malformed, file: file, field: "header", "\(error)", advice: "download the file again")
        }
    }

    private mutating func readMetadata(_ value: JSONValue) throws(LoadError) {
        guard metadata.isEmpty, let object = value.object else {
            throw malformed("__metadata__", expected: "one object of strings", found: "\(value)")
        }
        for (key, value) in object.members {
            guard let string = value.string else {
                throw malformed("__metadata__.\(key)", expected: "a string", found: "\(value)")
            }
            metadata[key] = string
        }
    }

    private mutating func add(_ name: String, _ value: JSONValue, dataSize: Int) throws(LoadError) {
        guard let object = value.object else {
            throw malformed(name, expected: "an object", found: "\(value)")
        }
        let fields = JSONFields(object, file: file, prefix: name + ".")
        guard let spelling = try fields.string("dtype") else { throw fields.missing("dtype") }
        guard let elementType = ElementType(rawValue: spelling) else {
            let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
            throw fields.unsupported(
                "dtype", "elements of type \(spelling) cannot be read",
                advice: "convert them to one of \(known)")
        }
        let shape = try numbers("shape", of: fields)
        let offsets = try numbers("data_offsets", of: fields)
        guard offsets.count == 2, let begin = offsets.first, let end = offsets.last, begin <= end else {
            throw malformed(
                fields.path("data_offsets"), expected: "[begin, end] with begin ≤ end",
                found: TensorShape.describe(offsets))
        }
        guard end <= dataSize else {
            throw LoadError(
                .malformed, file: file, field: fields.path("data_offsets"),
                expected: "at most the \(dataSize) bytes of data", found: TensorShape.describe(offsets),
                advice: "the file is cut short; copy or download it again")
        }
        guard let size = TensorShape.byteCount(shape, elementType), size == end - begin else {
            throw malformed(
                fields.path("data_offsets"),
                expected: "the bytes of \(TensorShape.describe(shape)) \(spelling)", found: "\(end - begin)")
        }
        let entry = Entry(elementType: elementType, shape: shape, range: begin..<end)
        guard entries.updateValue(entry, forKey: name) == nil else {
            throw LoadError(
                .malformed, file: file, field: name, "the tensor is listed twice",
                advice: "write the file again")
        }
        names.append(name)
    }

    private func numbers(_ key: String, of fields: JSONFields) throws(LoadError) -> [Int] {
        guard let value = fields[key] else { throw fields.missing(key) }
        guard value.array != nil else { throw fields.mismatch(key, expected: "an array of integers", value) }
        return try fields.ints(key, in: 0...Int.max) ?? []
    }

    /// The tensors must tile the data: a gap or an overlap could hide bytes from a check.
    private func checkCoverage(dataSize: Int) throws(LoadError) {
        let sorted = entries.sorted {
            ($0.value.range.lowerBound, $0.value.range.upperBound)
                < ($1.value.range.lowerBound, $1.value.range.upperBound)
        }
        var end = 0
        for (name, entry) in sorted {
            guard entry.range.lowerBound == end else {
                throw malformed(
                    "\(name).data_offsets",
                    expected: "a tensor that begins at byte \(end), where the last one ends",
                    found: "\(entry.range.lowerBound)")
            }
            end = entry.range.upperBound
        }
        guard end == dataSize else {
            throw malformed(
                "data", expected: "\(end) bytes, where the last tensor ends", found: "\(dataSize) bytes")
        }
    }

    private func malformed(_ field: String, expected: String, found: String) -> LoadError {
        LoadError(
            .malformed, file: file, field: field, expected: expected, found: found,
            advice: "the file is damaged; download or write it again")
    }
}
