package import DoraTensor
import DoraText

/// Where the tensors of a safetensors file lie, and the header that says so.
package struct SafetensorsLayout {
    package struct Entry {
        package let name: String
        package let shape: [Int]
        package let elementType: ElementType

        package var byteCount: Int { shape.reduce(elementType.byteCount, *) }

        package init(name: String, shape: [Int], elementType: ElementType) {
            self.name = name
            self.shape = shape
            self.elementType = elementType
        }
    }

    /// Length, JSON and padding: the data begin at a multiple of 8.
    package let header: [UInt8]
    /// Of each entry, in the file.
    package let offsets: [Int]
    /// Of the whole file.
    package let byteCount: Int

    package init(_ entries: [Entry]) {
        // transformers reads no file without its `format`.
        var json = JSONObject([("__metadata__", .object(JSONObject([("format", .string("pt"))])))])
        var starts: [Int] = []
        var end = 0
        for entry in entries {
            starts.append(end)
            let range = [end, end + entry.byteCount]
            end += entry.byteCount
            _ = json.append(
                entry.name,
                .object(
                    JSONObject([
                        ("dtype", .string(entry.elementType.rawValue)),
                        ("shape", .array(entry.shape.map { .integer($0) })),
                        ("data_offsets", .array(range.map { .integer($0) })),
                    ])))
        }
        var text = Array(JSONValue.object(json).text.utf8)
        while !text.count.isMultiple(of: 8) { text.append(UInt8(ascii: " ")) }
        header = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
        let dataStart = header.count
        offsets = starts.map { dataStart + $0 }
        byteCount = dataStart + end
    }
}
