import DoraLoader
import DoraText
import Foundation
import Testing

/// Adapters that others made: PEFT's, recorded in `Tests/Fixtures`, and published ones outside of the repository.
@Suite struct PublishedAdapterTests {
    @Test(.enabled(if: Fixtures.areThere, "Tests/Fixtures is not there"), arguments: Fixtures.pairs)
    func everyFixtureLoadsOntoItsBase(pair: Fixtures.Pair) throws {
        let base = Fixtures.folder + "/bases/" + pair.base
        let folder = Fixtures.folder + "/adapters/" + pair.adapter
        let inventory = ModuleInventory(try ModelConfiguration(folder: base))
        let adapter = try Adapter(folder: folder, fitting: inventory, baseName: nil)
        let names = try SafetensorsFile(path: folder + "/adapter_model.safetensors").names
        let held = names.count { !$0.contains("original_module") }
        // Other methods take each of their parameters by name.
        guard adapter.lowRank.count == adapter.updates.count else { return }
        let parts = adapter.lowRank.values.reduce(0) {
            $0 + ($1.rank == 0 ? 0 : 2) + ($1.magnitude == nil ? 0 : 1) + ($1.outputBias == nil ? 0 : 1)
        }
        #expect(parts + adapter.replacements.count + adapter.tokenRows.count == held)
        #expect(adapter.lowRank.values.allSatisfy { ($0.magnitude != nil) == adapter.configuration.usesDoRA })
    }

    static let configurations: [(name: String, rank: Int, alpha: Double, targets: Set<String>?)] =
        [
            ("csequenc-qwen2.5-1.5b-DoRA", 8, 16, ["q_proj", "k_proj", "v_proj", "o_proj"]),
            ("peft-llama-3.2-3B-rank32-dora", 32, 64, nil),
        ]
        + [
            ("ner_llama_3_1_8B_8bits_r8_dora", 8, 16), ("finer_llama_3_1_8B_8bits_r8_dora", 8, 16),
            ("sentiment_llama_3_1_8b_fp16_r8", 8, 16), ("sentiment_llama_3_1_8b_8bits_r8_dora", 8, 16),
            ("xbrl_term_llama_3_1_8b_8bits_r8_dora", 8, 16), ("sentiment_llama_3_1_8b_4bits_r4", 4, 32),
            ("xbrl_extract_llama_3_1_8b_8bits_r8_dora", 8, 16), ("sentiment_llama_3_1_8b_8bits_r8", 8, 32),
            ("formula_llama_3_1_8b_8bits_r8_dora", 8, 16), ("headline_llama_3_1_8B_8bits_r8_dora", 8, 16),
            ("financebench_llama_3_1_8b_8bits_r8_dora", 8, 16),
            ("sentiment_llama_3_1_8b_8bits_r8_rslora", 8, 16),
        ].map { ("finlora/" + $0.0, $0.1, $0.2, ["q_proj", "k_proj", "v_proj"]) }

    @Test(.enabled(if: Fixtures.realData != nil, "DORA_TEST_DATA is not set"), arguments: configurations)
    func aPublishedConfigurationIsRead(name: String, rank: Int, alpha: Double, targets: Set<String>?) throws {
        let path = try #require(Fixtures.realData) + "/adapters/configs/\(name).json"
        let adapter = try AdapterConfiguration(parsing: Fixtures.bytes(path), file: path)
        #expect(adapter.rank == rank && adapter.alpha == alpha)
        #expect(adapter.usesDoRA == name.lowercased().hasSuffix("dora"))
        #expect(adapter.usesRankStabilization == name.hasSuffix("rslora"))
        switch adapter.targetModules {
        case .names(let names): #expect(Set(names) == targets ?? ["q_proj", "v_proj"])
        case .endings(let names): Issue.record("endings: \(names)")
        case .pattern(let pattern): Issue.record("a pattern: \(pattern)")
        }
        #expect(adapter.warnings.isEmpty)
    }

    private func tinyLlama() throws -> ModuleInventory {
        ModuleInventory(
            try Configurations.model(
                ("hidden_size", "2048"), ("num_hidden_layers", "22"), ("num_attention_heads", "32"),
                ("num_key_value_heads", "4"), ("intermediate_size", "5632"), ("vocab_size", "32000")))
    }

    @Test(.enabled(if: Fixtures.realData != nil, "DORA_TEST_DATA is not set"))
    func aPublishedLoRAFitsTinyLlama() throws {
        let folder = try #require(Fixtures.realData) + "/adapters/lora-tinyllama"
        let adapter = try Adapter(folder: folder, fitting: tinyLlama(), baseName: "TinyLlama-1.1B-Chat-v1.0")
        #expect(adapter.lowRank.count == 44 && adapter.warnings.isEmpty)
        let value = try #require(adapter.lowRank["model.layers.21.self_attn.v_proj"])
        #expect(
            value.rank == 4 && value.scaling == 2 && value.a.count == 4 * 2048 && value.b.count == 256 * 4)
        #expect(adapter.summary.byteCount == 22 * (4 * 2048 * 2 + 2048 * 4 + 256 * 4) * 4)
        expectRefusal(.mismatch, naming: ["adapter_model.safetensors"]) {
            _ = try Adapter(folder: folder, fitting: ModuleInventory(Configurations.model()), baseName: nil)
        }
    }

    @Test(.enabled(if: Fixtures.realData != nil, "DORA_TEST_DATA is not set"))
    func aClassifiersAdapterIsRefused() throws {
        let folder = try #require(Fixtures.realData) + "/adapters/dora-roberta-agnews"
        expectRefusal(.unsupported, naming: ["adapter_config.json: task_type", "SEQ_CLS", "CAUSAL_LM"]) {
            _ = try Adapter(folder: folder, fitting: tinyLlama(), baseName: nil)
        }
        // Even if its configuration lied, its tensors would give it away.
        let copy = try TemporaryFolder()
        let text = try String(contentsOfFile: folder + "/adapter_config.json", encoding: .utf8)
        try copy.write("adapter_config.json", text.replacing("SEQ_CLS", with: "CAUSAL_LM"))
        try copy.write("adapter_model.safetensors", Fixtures.bytes(folder + "/adapter_model.safetensors"))
        expectRefusal(.mismatch, naming: ["adapter_model.safetensors", "classifier"]) {
            _ = try Adapter(folder: copy.path, fitting: tinyLlama(), baseName: nil)
        }
    }
}
