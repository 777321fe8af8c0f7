import DoraLoader
import DoraTensor
import DoraText
import Testing

@Suite struct SafetensorsFileTests {
    private static func entry(_ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
        #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
    }

    @Test func tensorsAreFoundByName() throws {
        var writer = SafetensorsWriter()
        writer.add("b", shape: [2, 1], [1, 2])
        writer.add("a", "I8", shape: [3], bytes: [1, 2, 3])
        let file = try SafetensorsFile(bytes: writer.bytes, path: "x")
        #expect(file.names == ["b", "a"])
        #expect(file["a"]?.shape == [3] && file["a"]?.elementType == .i8 && file["a"]?.byteCount == 3)
        #expect(file["c"] == nil)
    }

    @Test func theHeaderMayBePaddedAndCarryMetadata() throws {
        let header = #"{"__metadata__":{"format":"pt"},"a":"# + Self.entry("U8", "[1]", 0, 1) + "}     "
        let file = try SafetensorsFile(bytes: SafetensorsWriter.raw(header, [7]), path: "x")
        #expect(file.metadata == ["format": "pt"])
        #expect(try file["a"]?.integers() == [7])
    }

    @Test func aViewOutlivesTheFileItCameFrom() throws {
        var writer = SafetensorsWriter()
        writer.add("a", shape: [1], [4])
        let folder = try TemporaryFolder(["m.safetensors": writer.bytes])
        let tensor = try SafetensorsFile(path: folder.file("m.safetensors"))["a"]
        tensor?.dropPages()
        #expect(try tensor?.floats() == [4])
    }

    struct Broken: Sendable, CustomTestStringConvertible {
        let what: String
        let bytes: [UInt8]
        let words: [String]
        var code = LoadError.Code.malformed

        var testDescription: String { what }

        init(_ what: String, _ header: String, data: Int = 0, _ words: String...) {
            self.what = what
            bytes = SafetensorsWriter.raw(header, [UInt8](repeating: 0, count: data))
            self.words = words
        }

        init(_ what: String, bytes: [UInt8], _ words: String...) {
            self.what = what
            self.bytes = bytes
            self.words = words
        }
    }

    static let broken: [Broken] = [
        Broken("empty file", bytes: [], "header length", "a file of 0"),
        Broken("seven bytes", bytes: [1, 0, 0, 0, 0, 0, 0], "header length"),
        Broken("header beyond the end", bytes: littleEndian(UInt64(3)) + [123, 125], "at most 2", "found 3"),
        Broken("header of 2^64-1 bytes", bytes: [UInt8](repeating: 255, count: 16), "header length"),
        Broken("header of over 100 MB", bytes: littleEndian(UInt64(100_000_001)), "header length"),
        Broken("a pickle", bytes: littleEndian(UInt64(2)) + Array("PK".utf8), "'{'"),
        Broken("leading space", " {}", "'{'"),
        Broken("truncated JSON", #"{"a":"#, "header", "invalid JSON"),
        Broken("two documents", "{}{}", "header", "invalid JSON"),
        Broken(
            "invalid UTF-8", bytes: littleEndian(UInt64(6)) + [123, 34, 255, 34, 58, 125], "invalid JSON"),
        Broken("an entry that is no object", #"{"a":3}"#, "a: expected an object"),
        Broken("metadata of numbers", #"{"__metadata__":{"n":1}}"#, "__metadata__.n"),
        Broken("no dtype", #"{"a":{"shape":[],"data_offsets":[0,0]}}"#, "a.dtype"),
        Broken("no shape", #"{"a":{"dtype":"U8","data_offsets":[0,0]}}"#, "a.shape"),
        Broken("no offsets", #"{"a":{"dtype":"U8","shape":[]}}"#, "a.data_offsets"),
        Broken("one offset", #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}"#, "a.data_offsets"),
        Broken("a negative dimension", "{\"a\":" + entry("U8", "[-1]", 0, 0) + "}", "a.shape"),
        Broken("half a dimension", "{\"a\":" + entry("U8", "[0.5]", 0, 0) + "}", "a.shape"),
        Broken(
            "a dimension of 2^70", "{\"a\":" + entry("U8", "[1180591620717411303424]", 0, 0) + "}", "a.shape"),
        Broken("a shape that is a number", "{\"a\":" + entry("U8", "1", 0, 1) + "}", data: 1, "a.shape"),
        Broken(
            "a product that overflows", "{\"a\":" + entry("U8", "[4294967296,4294967296]", 0, 0) + "}",
            "a.data_offsets"),
        Broken("a size that overflows", "{\"a\":" + entry("F64", "[9223372036854775807]", 0, 0) + "}", "a"),
        Broken("begin after end", "{\"a\":" + entry("U8", "[1]", 1, 0) + "}", data: 1, "a.data_offsets"),
        Broken(
            "end beyond the data", "{\"a\":" + entry("U8", "[2]", 0, 2) + "}", data: 1,
            "at most the 1 bytes of data", "[0, 2]"),
        Broken("a size unlike its shape", "{\"a\":" + entry("F32", "[2]", 0, 4) + "}", data: 4, "[2] F32"),
        Broken(
            "overlapping tensors",
            "{\"a\":" + entry("U8", "[2]", 0, 2) + ",\"b\":" + entry("U8", "[2]", 1, 3) + "}", data: 3,
            "b.data_offsets", "byte 2"),
        Broken(
            "the same bytes twice",
            "{\"a\":" + entry("U8", "[1]", 0, 1) + ",\"b\":" + entry("U8", "[1]", 0, 1) + "}", data: 1,
            "data_offsets"),
        Broken(
            "a hole",
            "{\"a\":" + entry("U8", "[1]", 0, 1) + ",\"b\":" + entry("U8", "[1]", 2, 3) + "}", data: 3,
            "b.data_offsets", "byte 1"),
        Broken("a hole at the start", "{\"a\":" + entry("U8", "[1]", 1, 2) + "}", data: 2, "byte 0"),
        Broken(
            "trailing bytes", "{\"a\":" + entry("U8", "[1]", 0, 1) + "}", data: 3, "data: expected 1 bytes"),
        Broken(
            "one name twice",
            "{\"a\":" + entry("U8", "[1]", 0, 1) + ",\"a\":" + entry("U8", "[1]", 1, 2) + "}", data: 2,
            "a: the tensor is listed twice"),
    ]

    @Test(arguments: broken)
    func aBrokenFileIsRefused(file: Broken) {
        expectRefusal(file.code, naming: ["broken.safetensors"] + file.words) {
            _ = try SafetensorsFile(bytes: file.bytes, path: "broken.safetensors")
        }
    }

    @Test(arguments: ["F4", "C64", "U32", "f32"])
    func anUnknownElementTypeIsNamed(type: String) {
        let bytes = SafetensorsWriter.raw("{\"a\":" + Self.entry(type, "[]", 0, 4) + "}", [0, 0, 0, 0])
        expectRefusal(.unsupported, naming: ["x: a.dtype", type]) {
            _ = try SafetensorsFile(bytes: bytes, path: "x")
        }
    }
}
