import DoraTensor
import DoraText

/// The beginning of a GGUF file: metadata, and where the tensors lie. Checked whole before a byte of data is read.
///
/// Source: ggml `docs/gguf.md`. Versions 2 and 3, which differ only in that 3 may be big-endian; that is refused.
struct GGUFHeader: Sendable {
    struct Tensor: Sendable {
        let format: BlockFormat
        /// Outermost dimension first, as everywhere else here; the file has them the other way round.
        let shape: [Int]
        /// Bytes of the file.
        let range: Range<Int>
    }

    static let magic = Array("GGUF".utf8)
    private static let nameLimit = 64
    private static let keyLimit = 65_535
    /// Far above the sixteen pages that anybody aligns to.
    private static let largestAlignment = 1 << 20

    private(set) var metadata: [String: GGUFValue] = [:]
    /// In file order.
    private(set) var names: [String] = []
    private(set) var tensors: [String: Tensor] = [:]
    private let file: String

    /// - Parameter bytes: the whole file.
    init(_ bytes: UnsafeRawBufferPointer, file: String) throws(LoadError) {
        self.file = file
        try GitPointer.refuse(bytes, file: file)
        guard Self.opens(bytes) else {
            throw LoadError(
                .malformed, file: file, field: "header",
                "a GGUF file begins with \"GGUF\", and this one does not",
                advice: "this is another kind of file")
        }
        var cursor = GGUFCursor(bytes, file: file, offset: Self.magic.count)
        try checkVersion(try cursor.integer(UInt32.self))
        cursor.field = "tensor count"
        // Name, dimensions, type and offset.
        let tensorCount = try cursor.count(of: 8 + 4 + 4 + 8)
        cursor.field = "metadata count"
        let valueCount = try cursor.count(of: 8 + 4 + 1)
        for index in 0..<valueCount { try readValue(index, &cursor) }
        var infos: [Info] = []
        for index in 0..<tensorCount { infos.append(try readInfo(index, &cursor)) }
        try place(infos, after: cursor.offset, in: bytes.count)
    }

    static func opens(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }

    private func checkVersion(_ version: UInt32) throws(LoadError) {
        if version == 2 || version == 3 { return }
        let isSwapped = version.byteSwapped == 2 || version.byteSwapped == 3
        throw LoadError(
            .unsupported, file: file, field: "version", expected: "2 or 3",
            found: isSwapped ? "\(version.byteSwapped) in big-endian order" : "\(version)",
            advice: "convert the model again with a current llama.cpp")
    }

    private mutating func readValue(_ index: Int, _ cursor: inout GGUFCursor) throws(LoadError) {
        cursor.field = "metadata[\(index)]"
        let key = try cursor.text(atMost: Self.keyLimit)
        cursor.field = key
        guard metadata.updateValue(try cursor.value(), forKey: key) == nil else {
            throw LoadError(
                .malformed, file: file, field: key, "the key stands twice", advice: "convert the model again")
        }
    }

    /// A tensor before it is known where the data begin.
    private struct Info {
        let name: String
        let format: BlockFormat
        let shape: [Int]
        let offset: UInt64
    }

    private func readInfo(_ index: Int, _ cursor: inout GGUFCursor) throws(LoadError) -> Info {
        cursor.field = "tensor[\(index)]"
        let name = try cursor.text(atMost: Self.nameLimit)
        cursor.field = name
        let dimensionCount = try cursor.integer(UInt32.self)
        guard (1...4).contains(dimensionCount) else {
            throw cursor.malformed(expected: "1 to 4 dimensions", found: "\(dimensionCount)")
        }
        var shape: [Int] = []
        for _ in 0..<dimensionCount {
            let dimension = try cursor.integer(UInt64.self)
            guard (1...UInt64(Int32.max)).contains(dimension) else {
                throw cursor.malformed(expected: "dimensions from 1 to \(Int32.max)", found: "\(dimension)")
            }
            shape.append(Int(dimension))
        }
        let format = try BlockFormat.named(by: try cursor.integer(UInt32.self), file: file, tensor: name)
        return Info(
            name: name, format: format, shape: shape.reversed(), offset: try cursor.integer(UInt64.self))
    }

    /// Finds each tensor's bytes, which must lie within the file and not in another's.
    private mutating func place(_ infos: [Info], after end: Int, in size: Int) throws(LoadError) {
        let alignment = try alignment()
        let dataStart = end.roundedUp(to: alignment)
        for info in infos {
            guard let byteCount = info.format.byteCount(of: info.shape) else {
                throw malformed(
                    info.name,
                    expected:
                        "rows of a multiple of \(info.format.length) weights, which \(info.format.name) takes",
                    found: TensorShape.describe(info.shape))
            }
            guard info.offset.isMultiple(of: UInt64(alignment)) else {
                throw malformed(
                    info.name, expected: "an offset that is a multiple of \(alignment)",
                    found: "\(info.offset)")
            }
            guard dataStart <= size, info.offset <= UInt64(size - dataStart),
                byteCount <= size - dataStart - Int(info.offset)
            else {
                throw LoadError(
                    .malformed, file: file, field: info.name,
                    expected: "\(byteCount) bytes from byte \(info.offset) of the data on",
                    found: "a file with \(max(0, size - dataStart)) bytes of data",
                    advice: "the file is cut short; download it again")
            }
            let start = dataStart + Int(info.offset)
            let tensor = Tensor(format: info.format, shape: info.shape, range: start..<start + byteCount)
            guard tensors.updateValue(tensor, forKey: info.name) == nil else {
                throw LoadError(
                    .malformed, file: file, field: info.name, "the tensor is listed twice",
                    advice: "convert the model again")
            }
            names.append(info.name)
        }
        try checkOverlaps()
    }

    private func alignment() throws(LoadError) -> Int {
        let key = "general.alignment"
        guard let value = metadata[key] else { return 32 }
        guard case .integer(let alignment) = value, (1...Self.largestAlignment).contains(alignment),
            alignment.nonzeroBitCount == 1
        else {
            throw malformed(
                key, expected: "a power of two up to \(Self.largestAlignment)", found: value.kind)
        }
        return alignment
    }

    private func checkOverlaps() throws(LoadError) {
        let sorted = tensors.sorted {
            ($0.value.range.lowerBound, $0.key) < ($1.value.range.lowerBound, $1.key)
        }
        for (first, second) in zip(sorted, sorted.dropFirst())
        where second.value.range.lowerBound < first.value.range.upperBound {
            throw malformed(
                second.key, expected: "bytes of its own", found: "bytes that \(first.key) has, too")
        }
    }

    private func malformed(_ field: String, expected: String, found: String) -> LoadError {
        LoadError(
            .malformed, file: file, field: field, expected: expected, found: found,
            advice: "the file is damaged; download or convert it again")
    }
}
