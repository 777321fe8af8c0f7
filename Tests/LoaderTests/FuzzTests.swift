import DoraTensor
import DoraText
import FoundationEssentials
import Testing

@testable import DoraLoader

/// Every parser of a file survives files with flipped bytes: it answers or throws, and never traps.
///
/// Seeded, so that a failure comes back; each round starts again from the sound file.
@Suite struct FuzzTests {
    /// `make check-fuzz` asks for more.
    private static let rounds =
        ProcessInfo.processInfo.environment["DORA_FUZZ_ROUNDS"].flatMap(Int.init) ?? 100_000

    /// SplitMix64.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    /// Flips one to three bits or bytes a round; returns how many files were still accepted.
    private func fuzz(
        _ sound: [UInt8], seed: UInt64, rounds: Int = Self.rounds, _ parse: ([UInt8]) throws -> Void
    ) throws -> Int {
        try parse(sound)
        var generator = Generator(state: seed)
        var accepted = 0
        for _ in 0..<rounds {
            var bytes = sound
            for _ in 0...Int(generator.next() % 3) {
                let random = generator.next()
                let index = Int((random >> 8) % UInt64(bytes.count))
                bytes[index] = random & 1 == 0 ? UInt8(random >> 56) : bytes[index] ^ 1 << UInt8(random >> 61)
            }
            do {
                try parse(bytes)
                accepted += 1
            } catch is LoadError {
                continue
            }
        }
        return accepted
    }

    @Test func safetensors() throws {
        var writer = SafetensorsWriter()
        writer.add("a", "F16", shape: [1, 2], bytes: [1, 2, 3, 4])
        writer.add("b", "I8", shape: [3], bytes: [5, 6, 7])
        let accepted = try fuzz(writer.bytes, seed: 1) { bytes in
            let file = try SafetensorsFile(bytes: bytes, path: "f")
            for name in file.names {
                guard let tensor = file[name] else { continue }
                if tensor.elementType.isFloat { _ = try tensor.floats() } else { _ = try tensor.integers() }
            }
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    /// Header, configuration, names, weights and tokenizer: all that a GGUF file is asked for.
    @Test(arguments: ["gpt2", "llama"]) func ggufs(tokenizer: String) throws {
        var builder = GGUFBuilder()
        builder.addTokenizer(model: tokenizer)
        builder["llama.rope.freq_base"] = .f32(500_000)
        // A matrix in blocks; the others are there in their headers only.
        builder.tensors = [
            .init("token_embd.weight", [10, 32]), .init("rope_freqs.weight", [4], [1, 1, 2.6945297, 8]),
        ]
        builder[tensor: "token_embd.weight"].type = 2
        builder[tensor: "token_embd.weight"].bytes = (0..<180).map { UInt8($0) }
        let compute = try Compute(threads: 1)
        let accepted = try fuzz(builder.bytes, seed: 6) { bytes in
            let files = ModelFiles.gguf(try GGUFModel(bytes: bytes, path: "m.gguf"))
            let model = try ModelConfiguration(files)
            _ = try GenerationDefaults(files, configuration: model)
            let checkpoint = try Checkpoint(files)
            if let blocks = try checkpoint.blocks("model.embed_tokens.weight") {
                let source = try BlockWeights(blocks, rows: model.vocabularySize, columns: model.hiddenSize)
                for format in [.f32, source.nativeFormat] { _ = try source.packed(as: format, on: compute) }
            }
            _ = try TokenizerFiles.load(files)?.encode("ab c<t>", addingSpecialTokens: true)
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    /// The header and the blocks of a matrix of each type, which share the rounds.
    @Test(arguments: BlockFormat.all.map(\.name)) func blocks(type: String) throws {
        let format = try #require(BlockFormat.all.first { $0.name == type })
        let (height, columns) = (3, 256)
        var builder = GGUFBuilder()
        builder["llama.embedding_length"] = .u32(256)
        builder.tensors = [.init("token_embd.weight", [height, columns])]
        builder[tensor: "token_embd.weight"].type = format.id
        builder[tensor: "token_embd.weight"].bytes = (0..<height * format.byteCount(ofRow: columns)).map {
            UInt8(truncatingIfNeeded: $0 * 7)
        }
        let compute = try Compute(threads: 1)
        let rounds = Self.rounds / BlockFormat.all.count
        let accepted = try fuzz(builder.bytes, seed: 8, rounds: rounds) { bytes in
            let files = ModelFiles.gguf(try GGUFModel(bytes: bytes, path: "m.gguf"))
            guard let blocks = try Checkpoint(files).blocks("model.embed_tokens.weight") else { return }
            let source = try BlockWeights(blocks, rows: height, columns: columns)
            for format in [.f32, source.nativeFormat] { _ = try source.packed(as: format, on: compute) }
        }
        #expect((1..<rounds).contains(accepted))
    }

    /// Its part of `config.json` and the tensors of one matrix, one behind the other.
    @Test(arguments: QuantizedMatrix.all.keys.sorted()) func quantizedMatrices(name: String) throws {
        let matrix = try #require(QuantizedMatrix.all[name])
        let compute = try Compute(threads: 1)
        let length = matrix.json.count
        let accepted = try fuzz(matrix.json + matrix.tensors, seed: 7) { bytes in
            let weights = try QuantizedMatrix.weights(
                json: Array(bytes[..<length]), tensors: Array(bytes[length...]))
            guard let weights else { return }
            for format in [.f32, weights.nativeFormat] { _ = try weights.packed(as: format, on: compute) }
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    @Test func modelConfiguration() throws {
        let text = #"""
            {"model_type":"llama","vocab_size":9,"hidden_size":32,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":4,"rope_scaling":{"type":"linear","factor":2.0}}
            """#
        let accepted = try fuzz(Array(text.utf8), seed: 2) { bytes in
            let model = try ModelConfiguration(parsing: bytes, file: "f")
            for rope in model.ropes { _ = rope.inverseFrequencies(headSize: model.headSize, length: 9999) }
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    @Test func generationConfiguration() throws {
        let model = try Configurations.model()
        let text = #"{"eos_token_id":[1,28],"bos_token_id":1,"repetition_penalty":1.05}"#
        let accepted = try fuzz(Array(text.utf8), seed: 3) { bytes in
            _ = try GenerationDefaults(parsing: bytes, file: "f", configuration: model)
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    @Test func adapterConfiguration() throws {
        let text = #"""
            {"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":".*\\.[kq](?:_pro){1,2}j","rank_pattern":{"v_.*$":4}}
            """#
        let accepted = try fuzz(Array(text.utf8), seed: 4) { bytes in
            let matching = try ModuleMatching(AdapterConfiguration(parsing: bytes, file: "f"))
            _ = matching.targets("layers.1.q_proj")
        }
        #expect((1..<Self.rounds).contains(accepted))
    }

    @Test func shardIndex() throws {
        let text = #"{"metadata":{"total_size":8},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#
        let accepted = try fuzz(Array(text.utf8), seed: 5) { bytes in
            _ = try ShardIndex(parsing: bytes, file: "f").shards
        }
        #expect((1..<Self.rounds).contains(accepted))
    }
}
