import DoraText
import Testing

@testable import DoraLoader

/// A GGUF file presents itself as the Hugging Face folder that it was made from.
@Suite struct GGUFModelTests {
    private func configuration(_ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> JSONFields {
        var builder = GGUFBuilder()
        change(&builder)
        let bytes = try #require(try builder.model().bytes(of: "config.json"))
        return try JSONFields(parsing: bytes, file: "config.json")
    }

    @Test func theConfigurationHasTransformersKeys() throws {
        let fields = try configuration { $0["llama.rope.freq_base"] = .f32(500_000) }
        let model = try ModelConfiguration(
            parsing: Array(JSONValue.object(fields.object).text.utf8), file: "c")
        #expect(model.vocabularySize == 10 && model.hiddenSize == 32 && model.intermediateSize == 24)
        #expect(model.attentionHeads == 4 && model.keyValueHeads == 2 && model.headSize == 8)
        #expect(try fields.double("rms_norm_eps") == 1e-5 && fields.double("rope_theta") == 500_000)
        // Without `output.weight`.
        #expect(model.tiesWordEmbeddings && model.maximumPositions == 128)
        #expect(try fields["rope_scaling"] == nil && fields.bool("attention_bias") == false)
    }

    @Test func aHeadOfItsOwnAndBiasesAreSeen() throws {
        let fields = try configuration {
            $0.tensors.append(.init("output.weight", [10, 32]))
            $0.tensors.append(.init("blk.0.attn_q.bias", [32]))
        }
        #expect(try fields.bool("tie_word_embeddings") == false)
        #expect(try fields.bool("attention_bias") == true)
    }

    @Test func ropeScalingIsReadFromKeys() throws {
        #expect(
            try configuration {
                $0["llama.rope.scaling.type"] = .string("linear")
                $0["llama.rope.scaling.factor"] = .f32(4)
            }.fields("rope_scaling")?.double("factor") == 4)
        #expect(
            try configuration { $0["llama.rope.scale_linear"] = .f32(2) }
                .fields("rope_scaling")?.string("rope_type") == "linear")
        let yarn = try #require(
            try configuration {
                $0["llama.rope.scaling.type"] = .string("yarn")
                $0["llama.rope.scaling.factor"] = .f32(8)
                $0["llama.rope.scaling.original_context_length"] = .u32(64)
            }.fields("rope_scaling"))
        #expect(try yarn.string("rope_type") == "yarn")
        #expect(try yarn.int("original_max_position_embeddings", in: 0...1000) == 64)
        expectRefusal(.unsupported, naming: ["llama.rope.scaling.type", "stretchy"]) {
            _ = try configuration { $0["llama.rope.scaling.type"] = .string("stretchy") }
        }
    }

    /// Llama 3's parameters are found again; any other divisors are passed on one by one.
    @Test func divisorsOfFrequenciesAreRead() throws {
        // Of theta 500000, heads of 8, factor 8, original context 8192.
        let llama3 = try #require(
            try configuration {
                $0["llama.rope.freq_base"] = .f32(500_000)
                $0.tensors.append(.init("rope_freqs.weight", [4], [1, 1, 2.6945297, 8]))
            }.fields("rope_scaling"))
        #expect(try llama3.string("rope_type") == "llama3" && llama3.double("factor") == 8)
        #expect(try llama3.int("original_max_position_embeddings", in: 0...100_000) == 8192)
        let other = try #require(
            try configuration { $0.tensors.append(.init("rope_freqs.weight", [4], [1, 1.5, 2, 2.5])) }
                .fields("rope_scaling"))
        #expect(try other.string("rope_type") == "longrope")
        #expect(other["long_factor"]?.array?.compactMap(\.double) == [1, 1.5, 2, 2.5])
        #expect(other["short_factor"] == other["long_factor"])
        expectRefusal(.malformed, naming: ["rope_freqs.weight", "above 0"]) {
            _ = try configuration { $0.tensors.append(.init("rope_freqs.weight", [4], [1, 0, 2, .nan])) }
        }
    }

    @Test func whatWouldBeServedWronglyIsRefused() {
        func expect(_ code: LoadError.Code, _ words: [String], _ change: (inout GGUFBuilder) -> Void) {
            expectRefusal(code, naming: ["m.gguf"] + words) { _ = try configuration(change) }
        }
        expect(.unsupported, ["general.architecture", "\"t5\"", "llama"]) { $0.rename(architecture: "t5") }
        expect(.malformed, ["general.architecture", "missing"]) { $0["general.architecture"] = nil }
        expect(.malformed, ["general.architecture", "a string"]) { $0["general.architecture"] = .u32(1) }
        expect(.unsupported, ["llama.expert_count", "8"]) { $0["llama.expert_count"] = .u32(8) }
        expect(.unsupported, ["llama.feed_forward_length", "differ"]) {
            $0["llama.feed_forward_length"] = .i32s([24, 48])
        }
        expect(.malformed, ["llama.embedding_length", "a number"]) {
            $0["llama.embedding_length"] = .string("32")
        }
        expect(.malformed, ["llama.rope.freq_base", "finite"]) { $0["llama.rope.freq_base"] = .f32(.nan) }
        expect(.missing, ["token_embd.weight"]) { $0.tensors.removeFirst() }
    }

    @Test func namesAreTransformers() throws {
        let model = try GGUFBuilder().model()
        #expect(
            model.tensorNames.prefix(4) == [
                "model.embed_tokens.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
                "model.layers.0.self_attn.q_proj.weight",
            ])
        // One that nobody knows is missed by name.
        var builder = GGUFBuilder()
        builder.tensors.append(.init("blk.0.attn_surprise.weight", [4]))
        expectRefusal(.unsupported, naming: ["blk.0.attn_surprise.weight"]) {
            let files = ModelFiles.gguf(try builder.model())
            let configuration = try ModelConfiguration(files)
            try CheckpointReader(
                files, configuration, inventory: ModuleInventory(configuration), quantization: nil
            ).refuseLeftovers()
        }
    }

    @Test func shiftedNormsAreShiftedBack() throws {
        for (architecture, value) in [("gemma2", 0.25), ("gemma3", 0.25), ("qwen3", 1.25), ("llama", 1.25)] {
            var builder = GGUFBuilder()
            builder.rename(architecture: architecture)
            builder.tensors[1] = .init("output_norm.weight", [32], filledWith: 1.25)
            let tensor = try #require(try builder.model().tensor("model.norm.weight"))
            #expect(try tensor.floats().allSatisfy { $0 == Float(value) }, "\(architecture)")
        }
    }

    @Test func biasesOfInterleavedRowsAreInTransformersOrder() throws {
        var builder = GGUFBuilder()
        builder.tensors.append(.init("blk.0.attn_k.bias", [16], (0..<16).map(Float.init)))
        let name = "model.layers.0.self_attn.k_proj.bias"
        let expected: [Float] = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]
        #expect(try #require(try builder.model().tensor(name)).floats() == expected)
        builder.rename(architecture: "qwen2")
        #expect(try #require(try builder.model().tensor(name)).floats() == (0..<16).map(Float.init))
    }

    /// A model_type for each architecture, and no architecture twice.
    @Test func theTableIsSound() {
        let names = GGUFArchitecture.all.map(\.name)
        #expect(Set(names).count == names.count && names.contains("llama"))
        #expect(Set(BlockFormat.all.map(\.id)).count == BlockFormat.all.count)
    }
}
