import DoraTensor
import DoraText
import Testing

@testable import DoraLoader

/// Each type of weights decodes to gguf-py's own floats, bit for bit, whatever its bits are (`gguf_bases.py`).
@Suite struct GGUFBlockTests {
    private static let path = Fixtures.folder + "/gguf/blocks"

    @Test(arguments: BlockFormat.all.map(\.name)) func blocksDecodeAsInTheReference(name: String) throws {
        let file = try GGUFFile(path: Self.path + ".gguf")
        let expected = try #require(try SafetensorsFile(path: Self.path + ".safetensors")[name]).floats()
        let format = try #require(file.format(of: name))
        #expect(format.name == name)
        let view = try #require(try file.view(of: name, as: name))
        let source: any WeightSource =
            format.elementType == nil
            ? try BlockWeights(
                StoredBlocks(tensor: view, format: format, order: .asStored), rows: 3, columns: 256)
            : try DenseWeights(view, rows: 3, columns: 256)
        let compute = try Compute(threads: 1)
        var found = [Float](repeating: .nan, count: 3 * 256)
        found.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            source.decode(rows: 2..<3, into: start + 512, on: compute)
            source.decode(rows: 0..<2, into: start, on: compute)
        }
        #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
        #expect(Set(found).count > 60)
    }

    /// What the kernels store for these types is V itself, bit for bit, by any instruction set.
    @Test(arguments: [
        "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q3_K", "Q4_K", "Q6_K", "IQ4_NL",
    ]) func codesAreKeptUnchanged(name: String) throws {
        let source = try blocks(name)
        let format = source.nativeFormat
        #expect(source.isExact(in: format) && source.isExact(in: .f32) && !source.isExact(in: .q8))
        let expected = try #require(try SafetensorsFile(path: Self.path + ".safetensors")[name]).floats()
        for kernels in Compute.availableKernels {
            let compute = try Compute(threads: 1, kernels: kernels)
            let matrix = try source.packed(as: format, on: compute)
            #expect(matrix.format == format && !format.takesFloats)
            var tile = [Float](repeating: .nan, count: PackedMatrix.tileRows * 256)
            matrix.unpack(tile: 0, into: &tile, on: compute)
            #expect(tile.prefix(3 * 256).map(\.bitPattern) == expected.map(\.bitPattern))
            #expect(tile.dropFirst(3 * 256).allSatisfy { $0 == 0 })
        }
    }

    /// A file that was packed before the kernels had these codes holds Q8 beside the blocks: those are what counts.
    @Test func tilesOfQ8BesideTheBlocksAreLeftAlone() throws {
        let compute = try Compute(threads: 1)
        let source = try blocks("Q6_K")
        let packed = PackedWeights(matrix: try source.packed(as: .q8, on: compute), values: .rows(source))
        #expect(packed.nativeFormat == source.nativeFormat)
        let found = try packed.packed(as: packed.nativeFormat, on: compute)
        let expected = try source.packed(as: source.nativeFormat, on: compute)
        let same = found.withArrays { codes, scales in
            expected.withArrays { codes.elementsEqual($0) && scales.elementsEqual($1) }
        }
        #expect(same)
    }

    /// As many bits a weight as in the file, but that Q4_K's scales of six bits take eight.
    @Test func codesTakeTheirOwnBytes() throws {
        for (name, bits) in [("Q8_0", 8.5), ("Q4_0", 4.5), ("Q4_1", 5), ("Q4_K", 4.625), ("Q6_K", 6.5625)] {
            let format = try blocks(name).nativeFormat
            #expect(Double(8 * format.byteCount(rows: 32, columns: 512)) / (32 * 512) == bits, "\(name)")
        }
    }

    /// Q8 cannot hold what other blocks say, so whoever needs V must ask for more.
    @Test func onlyFloatsKeepTheOthersExactly() throws {
        let source = try blocks("Q5_K")
        #expect(source.nativeFormat == .q8 && !source.isExact(in: .q8) && source.isExact(in: .f32))
        expectRefusal(.mismatch, naming: ["Q4_K", "Q4_K [3, 512]", "Q4_K [3, 256]"]) {
            _ = try blocks("Q4_K", columns: 512)
        }
    }

    private func blocks(_ name: String, columns: Int = 256) throws -> BlockWeights {
        let file = try GGUFFile(path: Self.path + ".gguf")
        let format = try #require(file.format(of: name))
        let view = try #require(try file.view(of: name, as: name))
        return try BlockWeights(
            StoredBlocks(tensor: view, format: format, order: .asStored), rows: 3, columns: columns)
    }

    /// Rows 0 1 2 3 of a head of 8 belong to the first halves of its pairs: the file has them at 0 2 4 6.
    @Test func interleavedRowsAreFound() throws {
        let order = RowOrder.interleaved(headSize: 8)
        #expect((0..<16).map(order.storedRow) == [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15])
        let view = try TensorView(
            name: "w", file: "f", shape: [16, 2], floats: (0..<32).map(Float.init))
        let source = try DenseWeights(view, rows: 16, columns: 2, order: order)
        // From the middle of a row to the middle of another.
        var found = [Float](repeating: 0, count: 5)
        found.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            source.decode(elements: 5..<10, into: start)
        }
        #expect(found == [9, 12, 13, 2, 3])
    }
}
