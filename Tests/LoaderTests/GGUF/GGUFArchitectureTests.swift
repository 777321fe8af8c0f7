import DoraText
import Testing

@testable import DoraLoader

/// What llama.cpp's converter makes of a model is turned back: names, shapes, and the configuration that transformers saved
/// (`gguf_architectures.py`).
@Suite struct GGUFArchitectureTests {
    private static let models: [String: JSONValue] = {
        let bytes = (try? Fixtures.bytes(Fixtures.folder + "/gguf/architectures.json")) ?? []
        let members = (try? JSONValue(parsing: bytes))?.object?.members ?? []
        return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value) })
    }()

    /// The file that the converter wrote, its weights left out.
    private func model(_ description: JSONObject) throws -> GGUFModel {
        var builder = GGUFBuilder()
        builder.metadata = try #require(description["metadata"]?.object).members.map { key, value in
            let kinds = value.object?["type"]?.array?.compactMap(\.string) ?? []
            let content = try #require(value.object?["value"])
            return (key, try Self.value(kinds, content))
        }
        let divisors = description["divisors"]?.object
        builder.tensors = try #require(description["tensors"]?.object).members.map { name, shape in
            let shape = shape.array?.compactMap(\.int) ?? []
            let values = divisors?[name]?.array?.compactMap(\.double).map { Float($0) }
            return values.map { .init(name, shape, $0) } ?? .init(name, shape)
        }
        return try builder.model()
    }

    private static func value(_ kinds: [String], _ content: JSONValue) throws -> GGUFBuilder.Value {
        switch kinds.first {
        case "STRING": .string(try #require(content.string))
        case "FLOAT32": .f32(Float(try #require(content.double)))
        case "BOOL": .bool(try #require(content.bool as Bool?))
        case "ARRAY":
            .raw(
                9,
                littleEndian(UInt32(7)) + littleEndian(UInt64(try #require(content.array).count))
                    + (content.array ?? []).map { $0.bool == true ? 1 : 0 })
        default: .u32(UInt32(try #require(content.int)))
        }
    }

    @Test func allArchitecturesAreThere() {
        let found = Self.models.values.compactMap { model in
            model.object?["metadata"]?.object?["general.architecture"]?.object?["value"]?.string
        }
        #expect(Set(found) == Set(GGUFArchitecture.all.map(\.name)))
    }

    @Test(arguments: models.keys.sorted()) func tensorsHaveTheirNamesBack(name: String) throws {
        let description = try #require(Self.models[name]?.object)
        let model = try model(description)
        let saved = try #require(description["saved"]?.object).members
        #expect(Set(model.tensorNames) == Set(saved.map(\.key)))
        for (key, shape) in saved {
            #expect(try model.tensor(key)?.shape == shape.array?.compactMap(\.int), "\(key)")
        }
        let isInterleaved = try #require(description["interleaved"]?.bool as Bool?)
        #expect(model.architecture.isInterleaved == isInterleaved)
        #expect(model.architecture.normShift == Float(try #require(description["shift"]?.double)))
        if isInterleaved {
            #expect(try model.rowOrder(of: "model.layers.1.self_attn.k_proj.weight") != .asStored)
        }
    }

    /// Every key that transformers saved and the file can know has the same value; `mistral` files say `llama`.
    @Test(arguments: models.keys.sorted()) func theConfigurationIsTransformers(name: String) throws {
        let description = try #require(Self.models[name]?.object)
        let bytes = try #require(try model(description).bytes(of: "config.json"))
        let found = try #require(try JSONValue(parsing: bytes).object)
        let saved = try #require(description["config"]?.object)
        let rope = saved["rope_parameters"]?.object
        let full = rope?["full_attention"]?.object ?? rope
        for (key, value) in found.members {
            let expected: JSONValue? =
                switch key {
                case "rope_theta", "partial_rotary_factor": full?[key]
                case "rope_local_base_freq": rope?["sliding_attention"]?.object?["rope_theta"]
                case "model_type", "architectures": name == "mistral" ? value : saved[key]
                default: saved[key]
                }
            guard key != "rope_scaling", let expected else { continue }
            #expect(Self.isSame(value, expected), "\(key): \(value) is not \(expected)")
        }
        let scaling = found["rope_scaling"]?.object
        for (key, value) in full?.members ?? [] where !["rope_theta", "partial_rotary_factor"].contains(key) {
            if key == "rope_type", value.string == "default" {
                #expect(scaling == nil)
            } else {
                #expect(scaling?[key].map { Self.isSame($0, value) } == true, "\(key)")
            }
        }
        for key in ["hidden_size", "num_hidden_layers", "vocab_size", "tie_word_embeddings", "rope_theta"] {
            #expect(found[key] != nil, "\(key)")
        }
    }

    /// Numbers go through F32.
    private static func isSame(_ a: JSONValue, _ b: JSONValue) -> Bool {
        if let a = a.double, let b = b.double { return abs(a - b) <= 1e-6 * abs(b) }
        if let a = a.array, let b = b.array {
            return a.count == b.count && zip(a, b).allSatisfy { isSame($0, $1) }
        }
        return a == b
    }
}
