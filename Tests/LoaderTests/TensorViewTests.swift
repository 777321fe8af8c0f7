import DoraLoader
import DoraTensor
import DoraText
import Testing

@Suite struct TensorViewTests {
    private func view(_ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) throws -> TensorView {
        try TensorView(name: "t", file: "memory", elementType: type, shape: shape, bytes: bytes)
    }

    @Test func everyHalfConvertsAsTheStandardLibraryDoes() throws {
        let patterns = (0...UInt16.max).map { $0 }
        let floats = try view(.f16, [65536], patterns.flatMap { littleEndian($0) }).floats()
        let wrong = zip(patterns, floats).filter { pattern, float in
            let expected = Float(Float16(bitPattern: pattern))
            return expected.isNaN ? !float.isNaN : float.bitPattern != expected.bitPattern
        }
        #expect(wrong.map(\.0).isEmpty)
    }

    @Test func bfloatIsTheUpperHalfOfAFloat() throws {
        let floats: [Float] = [1, -2.5, 0x1p-126, .infinity, -0.0]
        let bytes = floats.flatMap { littleEndian(UInt16($0.bitPattern >> 16)) }
        #expect(try view(.bf16, [5], bytes).floats().map(\.bitPattern) == floats.map(\.bitPattern))
    }

    @Test func singlesKeepTheirBitsAndDoublesAreRounded() throws {
        let bits: [UInt32] = [0x7FC0_1234, 0x8000_0000, 0x0000_0001, 0x3F80_0000]
        #expect(try view(.f32, [4], bits.flatMap { littleEndian($0) }).floats().map(\.bitPattern) == bits)
        let doubles = [1.0 / 3, 1e300, -0.5]
        let bytes = doubles.flatMap { littleEndian($0.bitPattern) }
        #expect(try view(.f64, [3], bytes).floats() == [Float(1.0 / 3), .infinity, -0.5])
    }

    @Test func e4m3HasNoInfinityAndTwoNaNs() throws {
        let floats = try view(.f8e4m3, [256], Array(0...255)).floats()
        #expect(floats[0x01] == 0x1p-9 && floats[0x07] == 7 * 0x1p-9 && floats[0x08] == 0x1p-6)
        #expect(floats[0x38] == 1 && floats[0x7E] == 448 && floats[0xFE] == -448)
        #expect(floats[0x80].sign == .minus && floats[0x80] == 0)
        #expect(floats.indices.filter { floats[$0].isNaN } == [0x7F, 0xFF])
        #expect(floats[0x09..<0x7F].elementsEqual(floats[0x09..<0x7F].sorted()))
    }

    @Test func e5m2IsTheUpperHalfOfAHalf() throws {
        let floats = try view(.f8e5m2, [256], Array(0...255)).floats()
        for (code, float) in floats.enumerated() {
            let expected = Float(Float16(bitPattern: UInt16(code) << 8))
            #expect(float.isNaN == expected.isNaN && (float.isNaN || float == expected))
        }
    }

    @Test func elementsMayLieAtAnyAddress() throws {
        var writer = SafetensorsWriter()
        writer.add("odd", "U8", shape: [1], bytes: [9])
        writer.add("single", shape: [2], [1.5, -2])
        writer.add("half", "F16", shape: [1], bytes: littleEndian(Float16(3).bitPattern))
        writer.add("wide", "I64", shape: [1], bytes: littleEndian(Int64.min))
        let file = try SafetensorsFile(bytes: writer.bytes, path: "memory")
        #expect(try file["single"]?.floats() == [1.5, -2])
        #expect(try file["half"]?.floats() == [3])
        #expect(try file["wide"]?.integers() == [.min])
    }

    @Test func aRangeIsReadWithoutTheRest() throws {
        let tensor = try TensorView(name: "t", file: "memory", shape: [2, 3], floats: [0, 1, 2, 3, 4, 5])
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 4)
        defer { buffer.deallocate() }
        buffer.initialize(repeating: 9)
        try tensor.readFloats(2..<5, into: buffer)
        #expect(Array(buffer) == [2, 3, 4, 9])
        try tensor.readFloats(6..<6, into: buffer)
    }

    @Test func integersOfEveryWidthKeepTheirSign() throws {
        #expect(try view(.i8, [2], [0xFF, 0x7F]).integers() == [-1, 127])
        #expect(try view(.i16, [1], [0xFE, 0xFF]).integers() == [-2])
        #expect(try view(.i32, [1], [0xFD, 0xFF, 0xFF, 0xFF]).integers() == [-3])
        #expect(try view(.u8, [1], [0xFF]).integers() == [255])
        #expect(try view(.bool, [2], [0, 1]).integers() == [0, 1])
    }

    @Test func theSameBytesCanBeReadAsAnotherType() throws {
        let packed = try view(.bf16, [2, 1], [1, 2, 3, 4])
        let nibbles = try packed.reinterpreted(as: .u8, shape: [4])
        #expect(try nibbles.integers() == [1, 2, 3, 4])
        expectRefusal(.malformed, naming: ["memory", "t", "[5]", "4 bytes"]) {
            _ = try packed.reinterpreted(as: .u8, shape: [5])
        }
    }

    @Test func numbersOfTheOtherKindAreRefused() throws {
        expectRefusal(.mismatch, naming: ["memory", "t", "I8"]) { _ = try view(.i8, [1], [0]).floats() }
        expectRefusal(.mismatch, naming: ["F16"]) { _ = try view(.f16, [1], [0, 0]).integers() }
    }

    @Test func anEmptyTensorHasNoNumbersAndAScalarHasOne() throws {
        #expect(try view(.f32, [0, 7], []).floats() == [])
        #expect(try view(.f32, [], [0, 0, 128, 63]).floats() == [1])
    }

    @Test func sizesThatOverflowAreRefused() {
        expectRefusal(.malformed, naming: ["bytes"]) { _ = try view(.f32, [Int.max, 2], []) }
        expectRefusal(.malformed, naming: ["bytes"]) { _ = try view(.f64, [Int.max], []) }
        expectRefusal(.malformed, naming: ["bytes"]) { _ = try view(.u8, [1 << 32, 1 << 32], []) }
        expectRefusal(.malformed, naming: ["bytes"]) { _ = try view(.f32, [-1], []) }
    }
}
