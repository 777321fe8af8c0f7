import DoraText
import Testing

@testable import DoraLoader

/// A file that breaks its format is refused by key or tensor, before memory or time is spent on what it claims.
@Suite struct GGUFHeaderTests {
    private func expect(
        _ naming: [String], sourceLocation: SourceLocation = #_sourceLocation,
        _ change: (inout GGUFBuilder) -> Void
    ) {
        var builder = GGUFBuilder()
        change(&builder)
        expectRefusal(.malformed, naming: ["m.gguf"] + naming, sourceLocation: sourceLocation) {
            _ = try builder.model()
        }
    }

    @Test func aSoundFileIsRead() throws {
        let file = try GGUFFile(bytes: GGUFBuilder().bytes, path: "m.gguf")
        #expect(file.tensorNames.count == 11)
        #expect(file.shape(of: "blk.0.attn_k.weight") == [16, 32])
        #expect(try file.integer("llama.block_count") == 1)
    }

    @Test func otherKindsOfFilesAreNamed() {
        expect(["begins with \"GGUF\""]) { $0.magic = Array("GGML".utf8) }
        for (version, words) in [(1, "found 1"), (4, "found 4"), (0x0300_0000, "3 in big-endian order")] {
            var builder = GGUFBuilder()
            builder.version = UInt32(version)
            expectRefusal(.unsupported, naming: ["m.gguf: version", words]) { _ = try builder.model() }
        }
    }

    /// Wherever the file is cut, it is refused.
    @Test func aFileThatIsCutShortIsRefused() throws {
        let bytes = GGUFBuilder().bytes
        for length in stride(from: 0, to: bytes.count, by: 13) {
            #expect(throws: LoadError.self) {
                _ = try GGUFFile(bytes: Array(bytes.prefix(length)), path: "m.gguf")
            }
        }
    }

    @Test func countsThatTheFileHasNoRoomForAreRefused() {
        expect(["tensor count", "18446744073709551615"]) { $0.tensorCount = .max }
        expect(["metadata count", "1152921504606846976"]) { $0.valueCount = 1 << 60 }
        let bomb = littleEndian(UInt32(8)) + littleEndian(UInt64(1) << 61)
        expect(["tokens", "2305843009213693952"]) { $0["tokens"] = .raw(9, bomb) }
        expect(["name", "at most"]) { $0["name"] = .raw(8, littleEndian(UInt64.max)) }
        expect(["numbers"]) {
            $0["numbers"] = .raw(9, littleEndian(UInt32(10)) + littleEndian(UInt64(1) << 60))
        }
    }

    @Test func valuesOfUnknownTypesAreRefused() {
        expect(["x", "0 to 12", "13"]) { $0["x"] = .raw(13, []) }
        expect(["x", "an array of arrays"]) {
            $0["x"] = .raw(
                9, littleEndian(UInt32(9)) + littleEndian(UInt64(1)) + [UInt8](repeating: 0, count: 12))
        }
    }

    @Test func nothingStandsTwice() {
        expect(["llama.block_count", "twice"]) { $0.metadata.append(("llama.block_count", .u32(2))) }
        expect(["output_norm.weight", "twice"]) { $0.tensors.append($0[tensor: "output_norm.weight"]) }
    }

    @Test func namesAreBoundedAndUTF8() {
        expect(["tensor[11]", "64"]) { $0.tensors.append(.init(String(repeating: "x", count: 65), [1])) }
        expect(["metadata[8]", "65535"]) {
            $0[String(repeating: "k", count: 65_536)] = .bool(true)
        }
    }

    @Test func shapesAreBounded() {
        expect(["token_embd.weight", "dimensions", "5"]) {
            $0[tensor: "token_embd.weight"].dimensions = [1, 1, 1, 1, 1]
        }
        expect(["token_embd.weight", "0"]) { $0[tensor: "token_embd.weight"].dimensions = [32, 0] }
        expect(["token_embd.weight", "2147483648"]) { $0[tensor: "token_embd.weight"].dimensions = [1 << 31] }
        // The product overflows.
        expect(["token_embd.weight"]) {
            $0[tensor: "token_embd.weight"].dimensions = [UInt64](repeating: 0x7FFF_FFFF, count: 4)
        }
    }

    @Test func blocksMustFillRows() {
        expect(["blk.0.ffn_down.weight", "multiple of 32", "Q4_0", "[32, 24]"]) {
            $0[tensor: "blk.0.ffn_down.weight"].type = 2
        }
    }

    @Test(arguments: [
        (16, "IQ2_XXS"), (17, "IQ2_XS"), (18, "IQ3_XXS"), (19, "IQ1_S"), (21, "IQ3_S"), (22, "IQ2_S"),
        (29, "IQ1_M"),
        (34, "TQ1_0"), (35, "TQ2_0"), (39, "MXFP4"), (9, "Q8_1"), (24, "I8"), (4, "4"), (1000, "1000"),
    ])
    func otherTypesOfWeightsAreRefusedByName(type: Int, name: String) {
        var builder = GGUFBuilder()
        builder[tensor: "blk.0.attn_q.weight"].type = UInt32(type)
        expectRefusal(.unsupported, naming: ["m.gguf: blk.0.attn_q.weight", "type \(name)", "Q4_K"]) {
            _ = try builder.model()
        }
    }

    @Test func tensorsLieWithinTheFileEachByItself() {
        expect(["blk.0.attn_q.weight", "multiple of 32"]) { $0[tensor: "blk.0.attn_q.weight"].offset = 17 }
        expect(["blk.0.attn_q.weight", "the file is cut short"]) {
            $0[tensor: "blk.0.attn_q.weight"].offset = UInt64.max - 31
        }
        expect(["blk.0.attn_q.weight", "token_embd.weight"]) { $0[tensor: "blk.0.attn_q.weight"].offset = 0 }
    }

    @Test func alignmentIsAPowerOfTwo() throws {
        for value: UInt32 in [0, 48, 1 << 21] {
            expect(["general.alignment", "power of two", "\(value)"]) {
                $0["general.alignment"] = .u32(value)
            }
        }
        expect(["general.alignment", "a string"]) { $0["general.alignment"] = .string("32") }
        var builder = GGUFBuilder()
        builder["general.alignment"] = .u32(256)
        builder.alignment = 256
        #expect(try builder.model().tensorNames.count == 11)
    }
}
