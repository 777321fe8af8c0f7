import DoraLoader
import DoraText
import Testing

@Suite struct AdapterTests {
    private static let q0 = AdapterBuilder.q0
    private static let prefix = "base_model.model."

    @Test func factorsAndMagnitudesAreReadForEveryTargetedModule() throws {
        let adapter = try AdapterBuilder().load()
        #expect(
            adapter.lowRank.keys.sorted() == [
                "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj",
            ])
        let update = try #require(adapter.lowRank["model.layers.0.self_attn.q_proj"])
        #expect(update.rank == 2 && update.scaling == 2)
        #expect(update.a.count == 64 && update.b.count == 64 && update.magnitude?.count == 32)
        #expect(update.outputBias == nil && adapter.replacements.isEmpty && adapter.tokenRows.isEmpty)
        #expect(adapter.warnings.isEmpty)
        #expect(adapter.summary.byteCount == 2 * (64 + 64 + 32) * 4 && adapter.summary.usesDoRA)
        #expect(adapter.summary.ranks.values.allSatisfy { $0 == 2 })
    }

    @Test func withoutDoRAThereAreNoMagnitudes() throws {
        #expect(try AdapterBuilder(dora: false).load().lowRank.values.allSatisfy { $0.magnitude == nil })
    }

    @Test func patternsChangeRankAndScalingOfOneModule() throws {
        var builder = AdapterBuilder()
        builder.config = [("rank_pattern", #"{"layers.1.*": 4}"#), ("alpha_pattern", #"{"layers.1.*": 2}"#)]
        builder.tensors[AdapterBuilder.q1 + "lora_A.weight"] = .init([4, 32])
        builder.tensors[AdapterBuilder.q1 + "lora_B.weight"] = .init([32, 4])
        let adapter = try builder.load()
        #expect(adapter.lowRank["model.layers.1.self_attn.q_proj"]?.rank == 4)
        #expect(adapter.lowRank["model.layers.1.self_attn.q_proj"]?.scaling == 0.5)
        #expect(adapter.lowRank["model.layers.0.self_attn.q_proj"]?.rank == 2)
    }

    @Test(arguments: [[32], [32, 1], [1, 32]])
    func magnitudesMayBeRowsOrColumns(shape: [Int]) throws {
        var builder = AdapterBuilder()
        builder.tensors[Self.q0 + "lora_magnitude_vector"] = .init(shape, 3)
        #expect(try builder.load().lowRank["model.layers.0.self_attn.q_proj"]?.magnitude?.first == 3)
    }

    @Test func embeddingsAndHeadsHaveFactorsAndCopies() throws {
        var builder = AdapterBuilder()
        builder.config = [("target_modules", #"["q_proj", "embed_tokens", "lm_head"]"#)]
        let embedding = Self.prefix + "model.embed_tokens."
        builder.tensors[embedding + "lora_embedding_A"] = .init([2, 10])
        builder.tensors[embedding + "lora_embedding_B"] = .init([32, 2])
        builder.tensors[embedding + "lora_magnitude_vector"] = .init([32])
        builder.tensors[embedding + "base_layer.weight"] = .init([10, 32])
        builder.tensors[Self.prefix + "lm_head.lora_A.weight"] = .init([2, 32])
        builder.tensors[Self.prefix + "lm_head.lora_B.weight"] = .init([10, 2])
        builder.tensors[Self.prefix + "lm_head.lora_magnitude_vector"] = .init([10])
        let adapter = try builder.load()
        #expect(adapter.lowRank["model.embed_tokens"]?.magnitude?.count == 32)
        #expect(adapter.lowRank["lm_head"]?.magnitude?.count == 10)
        #expect(adapter.replacements.keys.sorted() == ["model.embed_tokens.weight"])
        #expect(adapter.warnings.isEmpty)
    }

    @Test func aTiedPairIsAdaptedTogetherWhenAskedFor() throws {
        var builder = AdapterBuilder(dora: false)
        builder.config += [("target_modules", #"["embed_tokens"]"#), ("ensure_weight_tying", "true")]
        builder.tensors = [
            Self.prefix + "model.embed_tokens.lora_embedding_A": .init([2, 10]),
            Self.prefix + "model.embed_tokens.lora_embedding_B": .init([32, 2]),
            Self.prefix + "lm_head.lora_A.weight": .init([2, 32]),
            Self.prefix + "lm_head.lora_B.weight": .init([10, 2]),
        ]
        #expect(try builder.load(base: [("tie_word_embeddings", "true")]).lowRank.count == 2)
        expectRefusal(.mismatch, naming: ["lm_head", "not target"]) { _ = try builder.load() }
    }

    @Test func savedModulesAndTrainedBiasesReplaceTensors() throws {
        var builder = AdapterBuilder()
        builder.config = [("modules_to_save", #"["model.norm", "lm_head"]"#), ("bias", #""lora_only""#)]
        builder.tensors[Self.prefix + "model.norm.weight"] = .init([32], 7)
        builder.tensors[Self.prefix + "lm_head.modules_to_save.default.weight"] = .init([10, 32])
        builder.tensors[Self.prefix + "lm_head.original_module.weight"] = .init([10, 32])
        builder.tensors[Self.q0 + "base_layer.bias"] = .init([32], 8)
        builder.tensors[AdapterBuilder.q1 + "bias"] = .init([32], 9)
        let adapter = try builder.load(base: [("attention_bias", "true")])
        #expect(
            adapter.replacements.keys.sorted() == [
                "lm_head.weight", "model.layers.0.self_attn.q_proj.bias",
                "model.layers.1.self_attn.q_proj.bias",
                "model.norm.weight",
            ])
        #expect(try adapter.replacements["model.norm.weight"]?.floats().first == 7)
        #expect(try adapter.replacements["model.layers.1.self_attn.q_proj.bias"]?.floats().first == 9)
    }

    @Test func tokenRowsKeepTheOrderOfTheirIndices() throws {
        var builder = AdapterBuilder()
        builder.config = [("trainable_token_indices", "[7, 3]")]
        let name = Self.prefix + "model.embed_tokens.token_adapter.trainable_tokens_delta"
        builder.tensors[name] = .init([2, 32])
        let rows = try builder.load().tokenRows["model.embed_tokens"]
        #expect(rows?.indices == [7, 3] && rows?.rows.count == 64)
        builder.config = [("trainable_token_indices", #"{"embed_tokens": [1, 2]}"#)]
        #expect(
            try builder.load(base: [("tie_word_embeddings", "true")]).tokenRows.keys.sorted() == [
                "model.embed_tokens"
            ])
    }

    @Test func aFactorsBiasGoesWithItsFactor() throws {
        var builder = AdapterBuilder(dora: false)
        builder.config += [("lora_bias", "true")]
        for module in [Self.q0, AdapterBuilder.q1] {
            builder.tensors[module + "lora_B.bias"] = .init([32], 6)
        }
        #expect(try builder.load().lowRank["model.layers.0.self_attn.q_proj"]?.outputBias?.first == 6)
    }

    @Test func shardsAreJoined() throws {
        let folder = try TemporaryFolder()
        let builder = AdapterBuilder()
        try builder.write(to: folder)
        let names = builder.tensors.keys.sorted()
        func part(_ kept: ArraySlice<String>) -> [UInt8] {
            AdapterBuilder.file(builder.tensors.filter { kept.contains($0.key) })
        }
        let second = try TemporaryFolder()
        try second.write("adapter_config.json", Configurations.text(Configurations.dora))
        try second.write("adapter_model-00001-of-00002.safetensors", part(names[..<3]))
        let inventory = ModuleInventory(try Configurations.model())
        expectRefusal(.missing, naming: ["00001-of-00002", "shards"]) {
            _ = try Adapter(folder: second.path, fitting: inventory, baseName: nil)
        }
        try second.write("adapter_model-00002-of-00002.safetensors", part(names[3...]))
        let whole = try Adapter(folder: folder.path, fitting: inventory, baseName: nil)
        #expect(try Adapter(folder: second.path, fitting: inventory, baseName: nil).lowRank == whole.lowRank)
    }
}

@Suite struct AdapterWarningTests {
    @Test func aBaseOfAnotherNameIsMentioned() throws {
        var builder = AdapterBuilder()
        builder.config = [("base_model_name_or_path", #""meta-llama/Llama-3.1-8B""#)]
        #expect(try builder.load(baseName: "/models/llama-3.1-8b").warnings.isEmpty)
        #expect(try builder.load(baseName: nil).warnings.isEmpty)
        #expect(
            try builder.load(baseName: "/models/other").warnings.first?.summary.contains("Llama-3.1-8B")
                == true)
    }

    @Test func doRAInSixteenBitsIsMentioned() throws {
        var builder = AdapterBuilder()
        builder.tensors[AdapterBuilder.q0 + "lora_A.weight"]?.type = "BF16"
        let adapter = try builder.load()
        #expect(adapter.warnings.first?.summary.contains("BF16") == true)
        #expect(adapter.lowRank["model.layers.0.self_attn.q_proj"]?.a.first == 0.5)
    }

    @Test func oneSideOfATiedPairIsMentioned() throws {
        var builder = AdapterBuilder()
        builder.config = [("modules_to_save", #"["embed_tokens"]"#)]
        builder.tensors["base_model.model.model.embed_tokens.weight"] = .init([10, 32])
        #expect(
            try builder.load(base: [("tie_word_embeddings", "true")]).warnings.first?.summary.contains(
                "lm_head")
                == true)
        #expect(try builder.load().warnings.isEmpty)
    }

    @Test func replacementsThatTheConfigurationDoesNotMentionAreServedAndMentioned() throws {
        var builder = AdapterBuilder()
        builder.tensors["base_model.model.lm_head.weight"] = .init([10, 32])
        let adapter = try builder.load()
        #expect(adapter.replacements["lm_head.weight"] != nil)
        #expect(adapter.warnings.first?.summary.contains("lm_head.weight") == true)
    }

    /// However many they are, they are one line; the names are details.
    @Test func manyOfAKindAreOneWarning() throws {
        var builder = AdapterBuilder()
        for name in ["lm_head.weight", "model.norm.weight", "model.embed_tokens.weight"] {
            builder.tensors["base_model.model.\(name)"] = .init(
                name == "model.norm.weight" ? [32] : [10, 32])
        }
        let warnings = try builder.load().warnings
        #expect(warnings.count == 1)
        #expect(warnings.first?.summary.contains("lm_head.weight and 2 more") == true)
        #expect(warnings.first?.details.count == 3)
        builder.tensors = AdapterBuilder().tensors
        builder.config = [("modules_to_save", #"["classifier", "score"]"#)]
        #expect(try builder.load().warnings.map(\.summary.count).count == 1)
        #expect(try builder.load().warnings.first?.summary.contains("classifier and 1 more") == true)
    }

    @Test func savedModulesThatTheBaseLacksAreMentioned() throws {
        var builder = AdapterBuilder()
        builder.config = [("modules_to_save", #"["classifier"]"#)]
        #expect(try builder.load().warnings.first?.summary.contains("classifier") == true)
    }
}
