import DoraLoader
import DoraText
import Foundation
import Testing

/// The other methods' configurations and files. What they compute is in the golden cases.
@Suite struct AdapterMethodTests {
    private static let q0 = AdapterBuilder.q0
    private static let q1 = AdapterBuilder.q1

    /// An adapter on `q_proj`, 32 by 32, of both layers.
    private func builder(
        _ type: String, _ parameters: [(String, [Int])], config: [(String, String)] = [],
        shared: [(String, [Int])] = []
    ) -> AdapterBuilder {
        var builder = AdapterBuilder()
        builder.config = [("peft_type", "\"\(type)\""), ("use_dora", "false")] + config
        builder.tensors = [:]
        for module in [Self.q0, Self.q1] {
            for (name, shape) in parameters { builder.tensors[module + name] = .init(shape) }
        }
        for (name, shape) in shared { builder.tensors["base_model." + name] = .init(shape) }
        return builder
    }

    private var loha: AdapterBuilder {
        builder(
            "LOHA",
            [
                ("hada_w1_a", [32, 2]), ("hada_w1_b", [2, 32]), ("hada_w2_a", [32, 2]),
                ("hada_w2_b", [2, 32]),
            ])
    }

    private var vera: AdapterBuilder {
        builder(
            "VERA", [("vera_lambda_b", [32]), ("vera_lambda_d", [2])],
            shared: [("vera_A", [2, 40]), ("vera_B", [48, 2])])
    }

    @Test func eachMethodIsRead() throws {
        let label = { (builder: AdapterBuilder) in
            try builder.load().updates["model.layers.0.self_attn.q_proj"]?.label
        }
        #expect(try label(loha) == "LoHa rank 2")
        #expect(try label(vera) == "VeRA rank 2")
        #expect(try label(builder("IA3", [("ia3_l", [32, 1])])) == "(IA)³ of outputs")
        let inputs = [("feedforward_modules", #"["q_proj"]"#)]
        #expect(try label(builder("IA3", [("ia3_l", [1, 32])], config: inputs)) == "(IA)³ of inputs")
        #expect(try label(builder("LOKR", [("lokr_w1", [4, 8]), ("lokr_w2", [8, 4])])) == "LoKr rank 2")
        let blocks = [("oft_block_size", "8"), ("r", "0")]
        #expect(try label(builder("OFT", [("oft_R.weight", [4, 28])], config: blocks)) == "OFT block size 8")
    }

    /// LoHa and LoKr call their alpha so.
    @Test func alphaHasItsOwnName() throws {
        var loha = loha
        loha.config += [("alpha", "5")]
        #expect(try loha.load().updates["model.layers.1.self_attn.q_proj"]?.scaling == 2.5)
    }

    @Test func whatIsMissingOrDoesNotFitIsNamed() {
        var spoiled = loha
        spoiled.tensors[Self.q0 + "hada_w2_b"] = nil
        expectRefusal(.missing, naming: ["q_proj.hada_w2_b"]) { _ = try spoiled.load() }
        spoiled = loha
        spoiled.tensors[Self.q1 + "hada_w1_a"] = .init([32, 3])
        expectRefusal(.mismatch, naming: ["q_proj.hada_w1_a", "[32, 2]", "[32, 3]"]) {
            _ = try spoiled.load()
        }
        expectRefusal(.mismatch, naming: ["q_proj.lokr_w2", "[32, 32]", "[4, 8] and [8, 8]"]) {
            _ = try builder("LOKR", [("lokr_w1", [4, 8]), ("lokr_w2", [8, 8])]).load()
        }
        expectRefusal(.missing, naming: ["q_proj.lokr_w2_a"]) {
            _ = try builder("LOKR", [("lokr_w1", [4, 8]), ("lokr_w2_b", [2, 4])]).load()
        }
        spoiled = vera
        spoiled.tensors["base_model.vera_B"] = .init([31, 2])
        expectRefusal(.mismatch, naming: ["vera_B", "[31, 2]"]) { _ = try spoiled.load() }
        expectRefusal(.mismatch, naming: ["q_proj.ia3_l", "[32, 1]", "[1, 32]"]) {
            _ = try builder("IA3", [("ia3_l", [1, 32])]).load()
        }
    }

    /// Only PyTorch makes PyTorch's random numbers, and only PEFT 0.13 reads its own OFT.
    @Test func whatTheFileDoesNotHoldIsRefusedWithAdvice() {
        var vera = vera
        vera.config += [("save_projection", "false")]
        expectRefusal(.unsupported, naming: ["save_projection", "PEFT"]) { _ = try vera.load() }
        expectRefusal(.unsupported, naming: ["oft_block_size", "0.14"]) {
            _ = try builder("OFT", [("oft_R.weight", [4, 28])]).load()
        }
        expectRefusal(.unsupported, naming: ["LN_TUNING", "LoRA or DoRA", "(IA)³, LoHa, LoKr, VeRA, OFT"]) {
            _ = try Configurations.adapter(("peft_type", #""LN_TUNING""#))
        }
        expectRefusal(.unsupported, naming: ["embed_tokens", "LoHa"]) {
            var embedding = loha
            embedding.config += [("target_modules", #"["q_proj", "embed_tokens"]"#)]
            embedding.tensors["base_model.model.model.embed_tokens.hada_w1_a"] = .init([10, 2])
            _ = try embedding.load()
        }
        expectRefusal(.unsupported, naming: ["mlx"]) {
            let text = #"{"fine_tune_type": "dora", "lora_parameters": {"rank": 8}}"#
            _ = try AdapterConfiguration(parsing: Array(text.utf8), file: "adapter_config.json")
        }
        expectRefusal(.unsupported, naming: ["LoftQ", "init_lora_weights to true"]) {
            _ = try Configurations.adapter(("init_lora_weights", #""loftq""#))
        }
    }

    /// Its own tensors are no stranger's: an adapter of another method in the file is refused.
    @Test func methodsDoNotMix() {
        var mixed = AdapterBuilder()
        mixed.tensors[Self.q0 + "hada_w1_a"] = .init([32, 2])
        expectRefusal(.unsupported, naming: ["hada_w1_a"]) { _ = try mixed.load() }
    }
}

/// DoRA as its paper's authors save it.
@Suite struct PaperDoRATests {
    private var builder: AdapterBuilder {
        var builder = AdapterBuilder()
        builder.config = [
            ("peft_type", #""DORA""#), ("use_dora", "null"), ("target_modules", #"["n.q_proj"]"#),
            ("Wdecompose_target_modules", #"["k_proj", "q_proj"]"#), ("dora_simple", "true"),
            ("merge_weights", "false"), ("enable_lora", "null"),
        ]
        for layer in [AdapterBuilder.q0, AdapterBuilder.q1] {
            let magnitude = builder.tensors.removeValue(forKey: layer + "lora_magnitude_vector")
            builder.tensors[layer + "weight_m_wdecomp.weight"] = magnitude.map { _ in .init([32, 1], 2) }
            builder.tensors[layer.replacing("q_proj", with: "k_proj") + "weight_m_wdecomp.weight"] = .init(
                [16, 1], 3)
        }
        return builder
    }

    /// By the end of the name, where PEFT wants a dot; a module in both lists has factors.
    @Test func modulesMatchAsInThatCode() throws {
        let adapter = try builder.load()
        let query = try #require(adapter.lowRank["model.layers.1.self_attn.q_proj"])
        #expect(query.rank == 2 && query.scaling == 2 && query.magnitude == [Float](repeating: 2, count: 32))
        let key = try #require(adapter.lowRank["model.layers.1.self_attn.k_proj"])
        #expect(key.rank == 0 && key.magnitude == [Float](repeating: 3, count: 16))
        #expect(key.label == "magnitudes" && adapter.updates.count == 4)
    }

    @Test func magnitudesMustBeThere() {
        var spoiled = builder
        spoiled.tensors[AdapterBuilder.q0 + "weight_m_wdecomp.weight"] = nil
        expectRefusal(.missing, naming: ["q_proj.lora_magnitude_vector"]) { _ = try spoiled.load() }
        spoiled = builder
        spoiled.config += [("fan_in_fan_out", "true")]
        expectRefusal(.unsupported, naming: ["fan_in_fan_out"]) { _ = try spoiled.load() }
    }
}

/// Adapters with factors, and sums of them; that they answer as PEFT's do is in the golden cases.
@Suite struct AdapterSumTests {
    @Test(arguments: [
        ("a", ["a"], [Float(1)]), ("a*0.5", ["a"], [0.5]), ("/x/a*-2+b", ["/x/a", "b"], [-2, 1]),
        ("org/name@v1*1e-1+b*2", ["org/name@v1", "b"], [0.1, 2]),
    ]) func aSumIsWrittenInOneWord(text: String, folders: [String], scales: [Float]) throws {
        let sum = try AdapterSum(text)
        #expect(sum.parts.map(\.folder) == folders && sum.parts.map(\.scale) == scales)
        #expect(try AdapterSum(sum.description) == sum)
        #expect(try AdapterSum(text, scale: 2).parts.map(\.scale) == scales.map { 2 * $0 })
    }

    @Test(arguments: ["a*", "a*b", "+a", "a+", "*0.5", "a*inf"]) func whatIsNoSumIsRefused(text: String) {
        expectRefusal(.malformed, naming: [text, "PATH*NUMBER"]) { _ = try AdapterSum(text) }
    }

    @Test func aFolderOfThatNameWins() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("c+d*2")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try folder.write("c+d*2/adapter_config.json", "{}")
        #expect(try AdapterSum(path).parts.map(\.folder) == [path])
    }

    private func load(_ first: AdapterBuilder, _ second: AdapterBuilder?, scale: Float = 1) throws -> Adapter
    {
        let inventory = ModuleInventory(try Configurations.model())
        let folders = try (TemporaryFolder(), TemporaryFolder())
        try first.write(to: folders.0)
        try second?.write(to: folders.1)
        let text = second == nil ? folders.0.path : "\(folders.0.path)+\(folders.1.path)*0.5"
        return try AdapterSum(text, scale: scale).load(fitting: inventory, baseName: nil)
    }

    @Test func factorsStandSideBySide() throws {
        var second = AdapterBuilder(dora: false)
        for module in [AdapterBuilder.q0, AdapterBuilder.q1] {
            second.tensors[module + "lora_A.weight"] = .init([4, 32], 3)
            second.tensors[module + "lora_B.weight"] = .init([32, 4], 7)
        }
        second.config += [("r", "4")]
        let sum = try load(AdapterBuilder(dora: false), second)
        let update = try #require(sum.lowRank["model.layers.0.self_attn.q_proj"])
        #expect(update.rank == 6 && update.scaling == 1)
        // alpha / r is 2 and 1, the factors 1 and 0.5.
        #expect(
            update.a.prefix(32 * 2).allSatisfy { $0 == 1 } && update.a.suffix(32 * 4).allSatisfy { $0 == 1.5 }
        )
        #expect(update.b.prefix(12) == [0.5, 0.5, 7, 7, 7, 7, 0.5, 0.5, 7, 7, 7, 7])
    }

    /// Another factor is another content.
    @Test func theDigestKnowsTheFactor() throws {
        let builder = AdapterBuilder()
        let digests = try [1, 0.5, 0.25].map { try load(builder, nil, scale: $0).digest }
        let plain = try builder.load().digest
        #expect(Set(digests).count == 3 && digests[0] == plain)
    }

    @Test func whatDoesNotAddUpIsRefused() {
        expectRefusal(.unsupported, naming: ["DoRA", "by itself"]) {
            _ = try load(AdapterBuilder(), AdapterBuilder(dora: false))
        }
        var saved = AdapterBuilder(dora: false)
        saved.tensors["base_model.model.model.norm.weight"] = .init([32])
        expectRefusal(.unsupported, naming: ["do not add up"]) {
            _ = try load(AdapterBuilder(dora: false), saved)
        }
        var ia3 = AdapterBuilder()
        ia3.config = [("peft_type", #""IA3""#), ("use_dora", "null")]
        ia3.tensors = [
            AdapterBuilder.q0 + "ia3_l": .init([32, 1]), AdapterBuilder.q1 + "ia3_l": .init([32, 1]),
        ]
        expectRefusal(.unsupported, naming: ["PEFT scales no (IA)³"]) { _ = try load(ia3, nil, scale: 0.5) }
        expectRefusal(.unsupported, naming: ["plain LoRA"]) { _ = try load(ia3, AdapterBuilder(dora: false)) }
    }
}

/// What an adapter's owner should hear although it is served.
@Suite struct AdapterEffectTests {
    @Test(arguments: [false, true]) func anAdapterThatAddsNothingSaysSo(dora: Bool) throws {
        var builder = AdapterBuilder(dora: dora)
        #expect(try builder.load().warnings.isEmpty)
        for module in [AdapterBuilder.q0, AdapterBuilder.q1] {
            builder.tensors[module + "lora_B.weight"] = .init([32, 2], 0)
        }
        let warning = try #require(try builder.load().warnings.first)
        #expect(warning.summary.contains("2 updates add nothing"))
        #expect(warning.summary.hasSuffix(dora ? "only its magnitudes act" : "answers are the base's"))
    }

    /// As PEFT does; one that may stand for another formula is refused.
    @Test func keysThatNobodyKnowsAreSetAside() throws {
        let adapter = try Configurations.adapter(
            ("unsloth_version", #""2025.3""#), ("threshold", "0.5"), ("use_gradient_checkpointing", "true"))
        #expect(adapter.warnings.count == 1 && adapter.warnings[0].details.count == 3)
        #expect(adapter.warnings[0].summary.contains("unsloth_version and 2 more: unknown"))
        for (key, value) in [
            ("use_novelty", "true"), ("novelty_config", #"{"a": 1}"#), ("lora_scaling", "2"),
        ] {
            expectRefusal(.unsupported, naming: [key, "unknown setting"]) {
                _ = try Configurations.adapter((key, value))
            }
        }
    }
}
