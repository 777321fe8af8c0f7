import DoraLoader
import DoraTensor
import DoraText

/// A type of a GGUF file's tensors that is written.
package enum GGUFType: String, CaseIterable, Sendable {
    case f32, f16, bf16
    /// int8 with an F16 scale for each 32 of a row.
    case q8_0

    /// The number that files have for it (ggml `ggml.h`).
    var id: UInt32 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q8_0: 8
        case .bf16: 30
        }
    }

    /// The number that files have for a model of it (llama.cpp `llama.h`, `llama_ftype`).
    var fileType: Int {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q8_0: 7
        case .bf16: 32
        }
    }

    /// Of a row; nil where the type takes no such row.
    func byteCount(columns: Int) -> Int? {
        switch self {
        case .f32: 4 * columns
        case .f16, .bf16: 2 * columns
        case .q8_0:
            columns.isMultiple(of: Q8Encoding.length)
                ? columns / Q8Encoding.length * Q8Encoding.byteCount : nil
        }
    }
}

/// Where the tensors of a GGUF file lie, and the header that says so.
///
/// Source: ggml `docs/gguf.md`, version 3.
struct GGUFLayout {
    struct Entry {
        let name: String
        /// Rows first.
        let shape: [Int]
        let type: GGUFType

        var byteCount: Int {
            let columns = shape.last ?? 1
            return shape.dropLast().reduce(type.byteCount(columns: columns) ?? 0, *)
        }
    }

    private static let alignment = 32
    /// Metadata, table of tensors and padding.
    let header: [UInt8]
    /// Of each entry, in the file.
    let offsets: [Int]
    /// Of the whole file.
    let byteCount: Int

    init(_ entries: [Entry], metadata: [(key: String, value: GGUFMetadataValue)]) {
        var header = GGUFBytes()
        header.bytes += "GGUF".utf8
        header.write(UInt32(3))
        header.write(UInt64(entries.count))
        header.write(UInt64(metadata.count))
        for (key, value) in metadata {
            header.write(Array(key.utf8))
            header.write(value)
        }
        var starts: [Int] = []
        var end = 0
        for entry in entries {
            header.write(Array(entry.name.utf8))
            header.write(UInt32(entry.shape.count))
            for dimension in entry.shape.reversed() { header.write(UInt64(dimension)) }
            header.write(entry.type.id)
            header.write(UInt64(end))
            starts.append(end)
            end = (end + entry.byteCount).roundedUp(to: Self.alignment)
        }
        let dataStart = header.bytes.count.roundedUp(to: Self.alignment)
        header.bytes += [UInt8](repeating: 0, count: dataStart - header.bytes.count)
        self.header = header.bytes
        offsets = starts.map { dataStart + $0 }
        byteCount = dataStart + end
    }
}

/// Writes little-endian numbers, strings with their lengths, and values with their types.
private struct GGUFBytes {
    var bytes: [UInt8] = []

    mutating func write(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }

    mutating func write(_ string: [UInt8]) {
        write(UInt64(string.count))
        bytes += string
    }

    /// Numbers of types as ggml's docs have them.
    private enum Kind {
        static let u32: UInt32 = 4
        static let i32: UInt32 = 5
        static let f32: UInt32 = 6
        static let bool: UInt32 = 7
        static let string: UInt32 = 8
        static let array: UInt32 = 9
    }

    mutating func write(_ value: GGUFMetadataValue) {
        func array<Element>(
            _ kind: UInt32, _ elements: [Element], _ write: (inout GGUFBytes, Element) -> Void
        ) {
            self.write(Kind.array)
            self.write(kind)
            self.write(UInt64(elements.count))
            for element in elements { write(&self, element) }
        }
        switch value {
        case .integer(let number):
            write(Kind.u32)
            write(UInt32(clamping: number))
        case .float(let number):
            write(Kind.f32)
            write(number.bitPattern)
        case .bool(let flag):
            write(Kind.bool)
            write(UInt8(flag ? 1 : 0))
        case .string(let string):
            write(Kind.string)
            write(string)
        case .integers(let numbers): array(Kind.i32, numbers) { $0.write(Int32(clamping: $1)) }
        case .floats(let numbers): array(Kind.f32, numbers) { $0.write($1.bitPattern) }
        case .bools(let flags): array(Kind.bool, flags) { $0.write(UInt8($1 ? 1 : 0)) }
        case .strings(let strings): array(Kind.string, strings) { $0.write($1) }
        }
    }
}
