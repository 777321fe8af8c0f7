import DoraTensor
import DoraText
import Testing

@testable import DoraLoader

/// The hub's formats of quantized matrices, on matrices small enough to be computed by hand; those that the libraries
/// wrote are in `DecodedWeightsTests`.
@Suite struct QuantizedFormatTests {
    private typealias Tensor = QuantizedMatrix.Tensor

    private func row(_ row: Int, of matrix: QuantizedMatrix) throws -> [Float] {
        let source = try #require(try matrix.weights())
        var values = [Float](repeating: .nan, count: QuantizedMatrix.columns)
        let compute = try Compute(threads: 1)
        try values.withUnsafeMutableBufferPointer { buffer in
            source.decode(rows: row..<row + 1, into: try #require(buffer.baseAddress), on: compute)
        }
        return values
    }

    /// Of some rows, the first number of each.
    private func firsts(_ rows: Int, of matrix: QuantizedMatrix) throws -> [Float] {
        try (0..<rows).map { try row($0, of: matrix)[0] }
    }

    @Test func codesOfGPTQLieAlongTheInputsFromTheLowestBits() throws {
        let codes: [Float] = [1, 2, 3, 4, 5, 6, 7, 8].map { $0 - 8 }
        #expect(try row(3, of: .gptq) == codes + codes + codes + codes)
    }

    @Test func inputsHaveTheGroupsThatTheFileLists() throws {
        var matrix = QuantizedMatrix.gptq
        matrix["scales"] = Tensor(
            type: "F16", shape: [2, 16],
            bytes: Tensor.halves([16]).bytes + Tensor.halves([16], 0x4000).bytes)
        let values = try row(0, of: matrix)
        #expect(values[0] == -14 && values[16] == -7)
    }

    /// Version 1 adds to words: a zero point of 15 becomes 0, and carries.
    @Test func versionOneCarriesAndVersionTwoDoesNot() throws {
        var matrix = QuantizedMatrix.gptq
        matrix[key: "sym"] = "false"
        matrix["qzeros"] = .words([2, 2], 0x7777_77F7)
        let first: [Float] = [-7, 1, -8, -7]
        #expect(try firsts(4, of: matrix) == first)
        matrix[key: "checkpoint_format"] = #""gptq_v2""#
        let second: [Float] = [-6, -14, -6, -6]
        #expect(try firsts(4, of: matrix) == second)
    }

    @Test func modulesMayHaveBitsOfTheirOwn() throws {
        var matrix = QuantizedMatrix.gptq
        matrix[key: "dynamic"] = #"{"+:m$": {"bits": 8}}"#
        matrix["qweight"] = .words([8, 16], 0x0403_0201)
        matrix["qzeros"] = .words([2, 4], 0x7F7F_7F7F)
        #expect(Array(try row(0, of: matrix).prefix(5)) == [-127, -126, -125, -124, -127])
    }

    @Test func codesOfAWQAreInterleavedAlongTheOutputs() throws {
        let expected: [Float] = [-1, 3, 0, 4, 1, 5, 2, 6]
        #expect(try firsts(8, of: .awq) == expected)
    }

    @Test func packedCodesAreHalfTheirRangeHigher() throws {
        #expect(Array(try row(0, of: .compressed).prefix(8)) == [-1, 0, 1, 2, 3, 4, 5, 6])
        #expect(try row(9, of: .bytes) == [Float](repeating: -2, count: 32))
    }

    @Test func eightBitFloatsAreMultipliedByTheirBlocksScale() throws {
        var matrix = QuantizedMatrix.fp8
        matrix["weight_scale_inv"]?.bytes = [128, 126]
        #expect(
            try row(5, of: matrix) == [Float](repeating: 2, count: 16) + [Float](repeating: 0.5, count: 16))
        // The same as raw bytes.
        matrix["weight_scale_inv"]?.type = "U8"
        #expect(try row(5, of: matrix)[31] == 0.5)
        #expect(try row(5, of: .rows8) == [Float](repeating: 1, count: 32))
    }

    @Test func modulesInFloatsAreLeftToOthers() throws {
        for var matrix in QuantizedMatrix.all.values {
            matrix.parts = [("weight", .halves([16, 32]))]
            #expect(try matrix.weights() == nil)
        }
    }

    @Test func tensorsThatDoNotFitAreRefusedByName() {
        let cases: [(QuantizedMatrix, String, Tensor?, LoadError.Code)] = [
            (.gptq, "qweight", .words([8, 16], 0), .mismatch),
            (.gptq, "qzeros", .words([1, 2], 0), .mismatch),
            (.gptq, "scales", nil, .missing), (.gptq, "g_idx", nil, .missing),
            (.gptq, "g_idx", .integers([Int32](repeating: 2, count: 32)), .malformed),
            (.gptq, "g_idx", .integers([Int32](repeating: -1, count: 32)), .malformed),
            (.gptq, "g_idx", .integers([0, 1]), .mismatch),
            (.gptq, "scales", .bytes("I8", [2, 16], 1), .mismatch),
            (.gptq, "qzeros", .words([2, 2], 0x8888_8888), .mismatch),
            (.awq, "qweight", .words([16, 4], 0), .mismatch), (.awq, "qzeros", nil, .missing),
            (.awq, "scales", .halves([16, 2]), .mismatch),
            (.compressed, "weight_packed", nil, .missing), (.compressed, "weight_zero_point", nil, .missing),
            (.compressed, "weight_shape", .integers([32, 16]), .mismatch),
            (.compressed, "weight_scale", .halves([16, 1]), .mismatch),
            (.bytes, "weight", .bytes("U8", [16, 32], 0), .mismatch),
            (.bytes, "weight_scale", nil, .missing),
            (.fp8, "weight_scale_inv", .halves([2, 2]), .mismatch),
            (.fp8, "weight", .halves([16, 32]), .mismatch),
            (.rows8, "weight", .bytes("F8_E4M3", [32, 16], 0), .mismatch),
        ]
        for (matrix, part, tensor, code) in cases {
            var matrix = matrix
            matrix[part] = tensor
            expectRefusal(code, naming: ["m.\(part)"]) { _ = try matrix.weights() }
        }
    }

    /// Nothing behind a tensor is taken for its scales, and no signed bytes for GPTQ's words.
    @Test func shapesOfOtherLayoutsAreRefused() {
        var row = QuantizedMatrix.awq
        row[key: "version"] = #""GEMV""#
        row[key: "q_group_size"] = "32"
        row["qweight"] = .words([16, 4], 0)
        row["qzeros"] = .words([16, 4], 0)
        row["scales"] = .halves([16])
        expectRefusal(.mismatch, naming: ["m.scales"]) { _ = try row.weights() }
        var bytes = QuantizedMatrix.gptq
        bytes[key: "bits"] = "8"
        bytes["qweight"] = .bytes("I8", [32, 16], 1)
        expectRefusal(.mismatch, naming: ["m.qweight"]) { _ = try bytes.weights() }
    }

    @Test func inputsThatWereNeverOrderedHaveTheirNeighboursGroup() throws {
        var matrix = QuantizedMatrix.compressed
        let plain = try row(3, of: matrix)
        matrix["weight_g_idx"] = .integers([Int32](repeating: -1, count: 32))
        #expect(try row(3, of: matrix) == plain)
    }

    @Test func floatsOfEightBitsNeedScales() {
        for (var matrix, part) in [
            (QuantizedMatrix.fp8, "weight_scale_inv"), (QuantizedMatrix.rows8, "weight_scale"),
        ] {
            matrix[part] = nil
            expectRefusal(.missing, naming: ["m.weight_scale"]) { _ = try matrix.weights() }
        }
    }

    @Test func configurationsThatAreNotUnderstoodAreRefusedByKey() {
        func groups(_ weights: String) -> String {
            #"{"g": {"targets": ["Linear"], "weights": {\#(weights)}}}"#
        }
        let cases: [(QuantizedMatrix, String, String, String)] = [
            (.gptq, "bits", "3", "bits"), (.gptq, "checkpoint_format", #""marlin""#, "checkpoint_format"),
            (.gptq, "pack_dtype", #""int16""#, "pack_dtype"), (.gptq, "rotation", #""hadamard""#, "rotation"),
            (.gptq, "dynamic", #"{"+:m": {"bits": 3}}"#, "dynamic.+:m.bits"),
            (.gptq, "dynamic", #"{"+:m": {"shift": 1}}"#, "dynamic.+:m.shift"),
            (.awq, "w_bit", "8", "w_bit"), (.awq, "version", #""gemv_fast""#, "version"),
            (.awq, "backend", #""llm-awq""#, "backend"), (.awq, "smooth", "true", "smooth"),
            (.compressed, "format", #""marlin-24""#, "config_groups.g.format"),
            (.compressed, "config_groups", groups(#""num_bits": 3"#), "num_bits"),
            (.compressed, "config_groups", groups(#""num_bits": 4, "type": "float""#), "num_bits"),
            (.compressed, "config_groups", groups(#""num_bits": 4, "strategy": "tensor_group""#), "strategy"),
            (.compressed, "config_groups", groups(#""num_bits": 4, "shift": 1"#), "shift"),
            (.compressed, "sparsity_config", #"{"format": "sparse-24-bitmask"}"#, "sparsity_config.format"),
            (.compressed, "transform_config", #"{"a": 1}"#, "transform_config"),
            (.fp8, "fmt", #""e5m2""#, "fmt"), (.fp8, "scale_fmt", #""log""#, "scale_fmt"),
            (.fp8, "expert_dtype", #""fp4""#, "expert_dtype"),
            (.fp8, "modules_to_convert", #"["embed"]"#, "modules_to_convert"),
            (.rows8, "weight_block_size", "[1, 2]", "weight_block_size"),
        ]
        for (matrix, key, value, named) in cases {
            var matrix = matrix
            if key == "format" { matrix[key: "config_groups"] = groups(#""num_bits": 4"#) }
            matrix[key: key] = value
            expectRefusal(.unsupported, naming: ["config.json: ", named]) { _ = try matrix.weights() }
        }
        for (matrix, key, value) in [
            (QuantizedMatrix.gptq, "dynamic", #"{"+:(": {}}"#), (.gptq, "bits", "null"),
            (.compressed, "config_groups", "null"), (.fp8, "weight_block_size", "[16]"),
            (.compressed, "config_groups", groups(#""strategy": "group""#)),
            (.bytes, "config_groups", groups(#""strategy": "block""#)),
        ] {
            var matrix = matrix
            matrix[key: key] = value
            expectRefusal(.malformed, naming: ["config.json: "]) { _ = try matrix.weights() }
        }
    }

    /// Names before patterns before classes, as the library picks.
    @Test func groupsOfCompressedTensorsAreFoundByTheirTargets() throws {
        var matrix = QuantizedMatrix.bytes
        let eight = #""weights": {"num_bits": 8, "strategy": "channel"}"#
        let four = #""weights": {"num_bits": 4, "group_size": 16}, "format": "pack-quantized""#
        for targets in [#"["m"]"#, #"["re:.*"]"#] {
            matrix[key: "config_groups"] =
                #"{"a": {"targets": ["Linear"], \#(four)}, "b": {"targets": \#(targets), \#(eight)}}"#
            #expect(try matrix.weights() != nil)
        }
        matrix[key: "config_groups"] = #"{"a": {"targets": ["n"], \#(eight)}}"#
        expectRefusal(.mismatch, naming: ["m", "config_groups"]) { _ = try matrix.weights() }
    }
}
