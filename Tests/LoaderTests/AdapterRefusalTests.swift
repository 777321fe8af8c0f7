import DoraLoader
import DoraText
import Foundation
import Testing

/// Adapters that must not be served, each with the words that its owner needs to mend it.
@Suite struct AdapterRefusalTests {
    struct Spoiled: Sendable, CustomTestStringConvertible {
        let what: String
        let code: LoadError.Code
        let words: [String]
        let base: [(String, String)]
        let spoil: @Sendable (inout AdapterBuilder) -> Void

        var testDescription: String { what }

        init(
            _ what: String, _ code: LoadError.Code, _ words: String..., base: [(String, String)] = [],
            spoil: @escaping @Sendable (inout AdapterBuilder) -> Void
        ) {
            self.what = what
            self.code = code
            self.words = words
            self.base = base
            self.spoil = spoil
        }
    }

    private static let q0 = AdapterBuilder.q0
    private static let prefix = "base_model.model."
    private static let embedding = prefix + "model.embed_tokens."

    static let incomplete: [Spoiled] = [
        Spoiled("no A", .missing, "q_proj.lora_A.weight") { $0.tensors[q0 + "lora_A.weight"] = nil },
        Spoiled("no B", .missing, "q_proj.lora_B.weight") { $0.tensors[q0 + "lora_B.weight"] = nil },
        Spoiled("no magnitude", .missing, "q_proj.lora_magnitude_vector", "use_dora") {
            $0.tensors[q0 + "lora_magnitude_vector"] = nil
        },
        Spoiled("a magnitude without DoRA", .mismatch, "lora_magnitude_vector", "use_dora") {
            $0.config = [("use_dora", "false")]
        },
        Spoiled("a targeted module without tensors", .missing, "k_proj", "targets") {
            $0.config = [("target_modules", #"["q_proj", "k_proj"]"#)]
        },
        Spoiled("a missing layer", .missing, "model.layers.0.self_attn.q_proj") {
            for (name, _) in $0.tensors where name.hasPrefix(q0) { $0.tensors[name] = nil }
        },
        Spoiled("tensors of an untargeted module", .mismatch, "q_proj", "not target") {
            $0.config = [("layers_to_transform", "0")]
        },
        Spoiled("an empty file", .missing, "q_proj") { $0.tensors = [:] },
        Spoiled("targets that the base lacks", .mismatch, "adapter_config.json: target_modules") {
            $0.config = [("target_modules", #"["query"]"#)]
            $0.tensors = [:]
        },
        Spoiled("a saved module that is not in the file", .missing, "lm_head.weight", "modules_to_save") {
            $0.config = [("modules_to_save", #"["lm_head"]"#)]
        },
        Spoiled(
            "trained biases that are not in the file", .missing, "q_proj.bias",
            base: [("attention_bias", "true")]
        ) {
            $0.config = [("bias", #""lora_only""#)]
        },
        Spoiled("token rows that are not in the file", .missing, "trainable_tokens_delta") {
            $0.config = [("trainable_token_indices", "[1]")]
        },
        Spoiled("a factor's bias that is not in the file", .missing, "lora_B.bias") {
            $0 = AdapterBuilder(dora: false)
            $0.config += [("lora_bias", "true")]
        },
    ]

    static let unfitting: [Spoiled] = [
        Spoiled("A of another width", .mismatch, "lora_A.weight", "[2, 32]", "[2, 33]") {
            $0.tensors[q0 + "lora_A.weight"] = .init([2, 33])
        },
        Spoiled("B of another height", .mismatch, "lora_B.weight", "[32, 2]", "[16, 2]") {
            $0.tensors[q0 + "lora_B.weight"] = .init([16, 2])
        },
        Spoiled("a rank unlike the configuration's", .mismatch, "lora_A.weight", "rank 2", "[4, 32]") {
            $0.tensors[q0 + "lora_A.weight"] = .init([4, 32])
            $0.tensors[q0 + "lora_B.weight"] = .init([32, 4])
        },
        Spoiled("factors of different rank", .mismatch, "lora_B.weight", "[32, 3]") {
            $0.tensors[q0 + "lora_B.weight"] = .init([32, 3])
        },
        Spoiled("a long magnitude", .mismatch, "lora_magnitude_vector", "[33]") {
            $0.tensors[q0 + "lora_magnitude_vector"] = .init([33])
        },
        Spoiled("a flat factor", .malformed, "lora_A.weight", "[64]", "ZeRO-3") {
            $0.tensors[q0 + "lora_A.weight"] = .init([64])
        },
        Spoiled("a factor without elements", .malformed, "lora_B.weight", "[0, 2]") {
            $0.tensors[q0 + "lora_B.weight"] = .init([0, 2])
        },
        Spoiled("a magnitude without elements", .malformed, "lora_magnitude_vector", "[0]", "gather") {
            $0.tensors[q0 + "lora_magnitude_vector"] = .init([0])
        },
        Spoiled("NaN", .malformed, "lora_B.weight", "NaN") {
            $0.tensors[q0 + "lora_B.weight"]?.values[9] = .nan
        },
        Spoiled("an infinity", .malformed, "lora_magnitude_vector", "infinities") {
            $0.tensors[q0 + "lora_magnitude_vector"]?.values[31] = -.infinity
        },
        Spoiled("integers", .unsupported, "lora_A.weight", "I32") {
            $0.tensors[q0 + "lora_A.weight"]?.type = "I32"
        },
        Spoiled("a layer beyond the base", .mismatch, "layers.5.", "2 layers") {
            $0.tensors[prefix + "model.layers.5.self_attn.q_proj.lora_A.weight"] = .init([2, 32])
        },
        Spoiled("factors of a norm", .mismatch, "model.norm") {
            $0.tensors[prefix + "model.norm.lora_A.weight"] = .init([2, 32])
        },
        Spoiled("linear factors for an embedding", .mismatch, "embed_tokens.lora_A") {
            $0.config = [("target_modules", #"["q_proj", "embed_tokens"]"#)]
            $0.tensors[embedding + "lora_A.weight"] = .init([2, 10])
            $0.tensors[embedding + "lora_B.weight"] = .init([32, 2])
        },
        Spoiled("a saved module of another shape", .mismatch, "model.norm.weight", "[33]") {
            $0.tensors[prefix + "model.norm.weight"] = .init([33])
        },
        Spoiled("a saved module with NaN", .malformed, "model.norm.weight", "NaN") {
            $0.tensors[prefix + "model.norm.weight"] = .init([32], .nan)
        },
        Spoiled(
            "half of a resized vocabulary", .mismatch, "model.embed_tokens.weight", "12 tokens", "10",
            "resize"
        ) {
            $0.tensors[prefix + "lm_head.weight"] = .init([12, 32])
        },
        Spoiled("two sizes of a vocabulary", .mismatch, "lm_head.weight", "12 tokens", "[11, 32]") {
            $0.tensors[prefix + "model.embed_tokens.weight"] = .init([12, 32])
            $0.tensors[prefix + "lm_head.weight"] = .init([11, 32])
        },
        Spoiled("a bias that the base lacks", .mismatch, "q_proj.base_layer.bias", "no bias") {
            $0.tensors[q0 + "base_layer.bias"] = .init([32])
        },
        Spoiled("a full weight beside factors", .mismatch, "q_proj.weight", "both") {
            $0.tensors[q0 + "weight"] = .init([32, 32])
        },
        Spoiled("a copy and a replacement", .malformed, "lm_head", "replaces the same") {
            $0.tensors[prefix + "lm_head.weight"] = .init([10, 32])
            $0.tensors[prefix + "lm_head.base_layer.weight"] = .init([10, 32])
        },
        Spoiled("a token beyond the vocabulary", .mismatch, "lm_head.weight", "11 tokens", "10") {
            $0.config = [("trainable_token_indices", "[10]")]
            $0.tensors[embedding + "token_adapter.trainable_tokens_delta"] = .init([1, 32])
        },
        Spoiled("a token twice", .mismatch, "trainable_token_indices") {
            $0.config = [("trainable_token_indices", "[1, 1]")]
            $0.tensors[embedding + "token_adapter.trainable_tokens_delta"] = .init([2, 32])
        },
        Spoiled("fewer rows than tokens", .mismatch, "trainable_tokens_delta", "[2, 32]", "[1, 32]") {
            $0.config = [("trainable_token_indices", "[1, 2]")]
            $0.tensors[embedding + "token_adapter.trainable_tokens_delta"] = .init([1, 32])
        },
        Spoiled("token rows without indices", .mismatch, "trainable_tokens_delta", "trainable_token_indices")
        {
            $0.tensors[embedding + "token_adapter.trainable_tokens_delta"] = .init([1, 32])
        },
        Spoiled("a factor's bias without lora_bias", .mismatch, "lora_B.bias", "lora_bias") {
            $0.tensors[q0 + "lora_B.bias"] = .init([32])
        },
    ]

    static let foreign: [Spoiled] = [
        Spoiled("an unknown tensor", .unsupported, "q_proj.lora_diag", "no part of a PEFT") {
            $0.tensors[q0 + "lora_diag"] = .init([2])
        },
        Spoiled("a diffusion adapter", .unsupported, "dora_scale", "convert") {
            $0.tensors = ["unet.down.dora_scale": .init([2]), "unet.down.lora_up.weights": .init([2])]
        },
        Spoiled("an MLX adapter", .unsupported, "lora_a", "and 1 more", "convert") {
            $0.tensors = [
                "model.layers.0.self_attn.q_proj.lora_a": .init([32, 2]),
                "model.layers.0.self_attn.q_proj.lora_b": .init([2, 32]),
            ]
        },
        Spoiled("two adapters in one file", .malformed, "lora_A", "same weight") {
            $0.tensors[q0 + "lora_A.other.weight"] = .init([2, 32], 0.25)
        },
    ]

    @Test(arguments: incomplete + unfitting + foreign)
    func itIsRefused(adapter: Spoiled) {
        var builder = AdapterBuilder()
        adapter.spoil(&builder)
        expectRefusal(adapter.code, naming: ["adapter_"] + adapter.words) {
            _ = try builder.load(base: adapter.base)
        }
    }

    @Test func aPickleIsRefusedWithAdvice() throws {
        let folder = try TemporaryFolder(["adapter_model.bin": [0x80]])
        try folder.write("adapter_config.json", Configurations.text(Configurations.dora))
        let inventory = ModuleInventory(try Configurations.model())
        expectRefusal(
            .unsupported,
            naming: ["adapter_model.bin", "safe_serialization", "\n  import torch", "\n  save_file("]
        ) {
            _ = try Adapter(folder: folder.path, fitting: inventory, baseName: nil)
        }
    }

    @Test func anAdapterInASubfolderIsPointedAt() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.file("poet"), withIntermediateDirectories: false)
        try folder.write("poet/adapter_config.json", Configurations.text(Configurations.dora))
        expectRefusal(.missing, naming: [folder.file("adapter_config.json"), "subfolder poet"]) {
            _ = try AdapterConfiguration(folder: folder.path)
        }
    }

    @Test func aFolderWithoutAnAdapterSaysWhatIsMissing() throws {
        let folder = try TemporaryFolder()
        let inventory = ModuleInventory(try Configurations.model())
        expectRefusal(.missing, naming: ["adapter_config.json"]) {
            _ = try Adapter(folder: folder.path, fitting: inventory, baseName: nil)
        }
        try folder.write("adapter_config.json", Configurations.text(Configurations.dora))
        expectRefusal(.missing, naming: ["adapter_model.safetensors"]) {
            _ = try Adapter(folder: folder.path, fitting: inventory, baseName: nil)
        }
    }
}
