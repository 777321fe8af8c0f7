import DoraLoader
import DoraText
import Testing

@Suite struct RopeParametersTests {
    private static let llama3 = """
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, \
        "original_max_position_embeddings": 8192}
        """

    @Test func bothSpellingsMeanTheSame() throws {
        let old = try Configurations.model(("rope_theta", "500000.0"), ("rope_scaling", Self.llama3)).rope
        let nested = Self.llama3.dropLast() + #", "rope_theta": 500000.0}"#
        #expect(try Configurations.model(("rope_parameters", String(nested))).rope == old)
        #expect(old.theta == 500_000)
    }

    @Test func theOldestSpellingNamesTheTypeShortly() throws {
        let rope = try Configurations.model(("rope_scaling", #"{"type": "linear", "factor": 2.0}"#)).rope
        #expect(rope == RopeParameters(theta: 10_000, scaling: .linear(factor: 2)))
        #expect(
            try Configurations.model(("rope_parameters", #"{"rope_type": "default"}"#)).rope.scaling == .none)
    }

    @Test func theOriginalContextIsTheModelsUnlessGiven() throws {
        func original(_ changes: (String, String)...) throws -> Int? {
            let short = #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#
            let base = changes.isEmpty ? [("rope_scaling", short)] : changes
            let text = Configurations.text(Configurations.llama, base)
            let rope = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json").rope
            guard case .llama3(let scaling) = rope.scaling else { return nil }
            return scaling.originalPositions
        }
        #expect(try original() == 128)
        #expect(try original(("rope_scaling", Self.llama3)) == 8192)
        #expect(try original(("rope_scaling", Self.llama3), ("original_max_position_embeddings", "64")) == 64)
    }

    @Test func frequenciesFallGeometrically() {
        let frequencies = RopeParameters(theta: 10_000).inverseFrequencies(headSize: 8)
        let expected: [Float] = [1, 0.1, 0.01, 0.001]
        #expect(zip(frequencies, expected).allSatisfy { abs($0 - $1) <= 1e-7 * $1 } && frequencies.count == 4)
        let stretched = RopeParameters(theta: 10_000, scaling: .linear(factor: 4)).inverseFrequencies(
            headSize: 8)
        #expect(stretched == frequencies.map { $0 / 4 })
    }

    /// Expected values: the formula of `_compute_llama3_parameters` in double precision.
    @Test func llama3KeepsHighFrequenciesAndStretchesLowOnes() throws {
        let rope = try Configurations.model(("rope_theta", "500000.0"), ("rope_scaling", Self.llama3)).rope
        let frequencies = rope.inverseFrequencies(headSize: 128)
        let expected: [(Int, Float)] = [
            (0, 1), (1, 0.814617234), (28, 0.00321144599), (29, 0.00216657076), (32, 0.000524846161),
            (34, 0.000178507813), (35, 9.55621235e-05), (36, 7.78465527e-05), (63, 3.06892599e-07),
        ]
        for (index, value) in expected {
            #expect(abs(frequencies[index] - value) <= 2e-6 * value, "frequency \(index)")
        }
    }

    @Test(arguments: ["dynamic", "yarn", "longrope", "su", "mrope"])
    func otherTypesAreRefusedByName(type: String) {
        expectRefusal(.unsupported, naming: ["config.json: rope_scaling.type", type]) {
            _ = try Configurations.model(("rope_scaling", #"{"type": "\#(type)", "factor": 2}"#))
        }
    }

    @Test(arguments: [
        (#"{"rope_type": "linear"}"#, "factor"),
        (#"{"rope_type": "linear", "factor": 0}"#, "factor"),
        (#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1}"#, "high_freq_factor"),
        (
            #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#,
            "high_freq_factor"
        ),
        (#"{"rope_type": 3}"#, "rope_type"),
        (#"{"rope_type": "default", "rope_theta": -1}"#, "rope_theta"),
    ])
    func brokenParametersAreNamed(json: String, key: String) {
        expectRefusal(.malformed, naming: ["config.json: rope_parameters.\(key)"]) {
            _ = try Configurations.model(("rope_parameters", json))
        }
    }
}
