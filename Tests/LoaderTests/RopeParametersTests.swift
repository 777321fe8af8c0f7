import DoraLoader
import DoraText
import Testing

@Suite struct RopeParametersTests {
    private static let llama3 = """
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, \
        "original_max_position_embeddings": 8192}
        """

    @Test func bothSpellingsMeanTheSame() throws {
        let old = try Configurations.model(("rope_theta", "500000.0"), ("rope_scaling", Self.llama3)).ropes[0]
        let nested = Self.llama3.dropLast() + #", "rope_theta": 500000.0}"#
        #expect(try Configurations.model(("rope_parameters", String(nested))).ropes[0] == old)
        #expect(old.theta == 500_000)
    }

    @Test func theOldestSpellingNamesTheTypeShortly() throws {
        let rope = try Configurations.model(("rope_scaling", #"{"type": "linear", "factor": 2.0}"#)).ropes[0]
        #expect(rope == RopeParameters(theta: 10_000, scaling: .linear(factor: 2)))
        #expect(
            try Configurations.model(("rope_parameters", #"{"rope_type": "default"}"#)).ropes[0].scaling
                == .none)
    }

    @Test func theOriginalContextIsTheModelsUnlessGiven() throws {
        func original(_ changes: (String, String)...) throws -> Int? {
            let short = #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#
            let base = changes.isEmpty ? [("rope_scaling", short)] : changes
            let text = Configurations.text(Configurations.llama, base)
            let rope = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json").ropes[0]
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
        let rope = try Configurations.model(("rope_theta", "500000.0"), ("rope_scaling", Self.llama3)).ropes[
            0]
        let frequencies = rope.inverseFrequencies(headSize: 128)
        let expected: [(Int, Float)] = [
            (0, 1), (1, 0.814617234), (28, 0.00321144599), (29, 0.00216657076), (32, 0.000524846161),
            (34, 0.000178507813), (35, 9.55621235e-05), (36, 7.78465527e-05), (63, 3.06892599e-07),
        ]
        for (index, value) in expected {
            #expect(abs(frequencies[index] - value) <= 2e-6 * value, "frequency \(index)")
        }
    }

    /// Expected values: transformers' `ROPE_INIT_FUNCTIONS`, heads of 16, theta 10,000.
    private static let stretched: [(json: String, length: Int, factor: Float, frequencies: [Float])] = [
        (
            #"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}"#, 0, 1.13862944,
            [
                1, 0.197642356, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012,
                7.90569466e-05,
            ]
        ),
        (
            #"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "truncate": false, "mscale": 1.0, "mscale_all_dim": 0.5}"#,
            0, 1.06482163,
            [
                1, 0.14849025, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012,
                7.90569466e-05,
            ]
        ),
        (
            #"{"rope_type": "dynamic", "factor": 2.0}"#, 300, 1,
            [
                1, 0.262445003, 0.0688773692, 0.0180765204, 0.004744092, 0.00124506326, 0.000326760608,
                8.57566774e-05,
            ]
        ),
        (
            longrope, 32, 1.18321596,
            [
                1, 0.281091362, 0.0799999982, 0.0229983833, 0.00666666683, 0.00194601703, 0.000571428565,
                0.000168654806,
            ]
        ),
        (
            longrope, 33, 1.18321596,
            [
                0.5, 0.10540925, 0.0250000004, 0.00632455572, 0.00166666671, 0.000451753964, 0.000125000006,
                3.51364179e-05,
            ]
        ),
    ]
    private static let longrope = #"""
        {"rope_type": "longrope", "short_factor": [1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875],
        "long_factor": [2, 3, 4, 5, 6, 7, 8, 9], "original_max_position_embeddings": 32}
        """#

    @Test(arguments: 0..<5) func longContextsAreStretchedAsTheLibraryDoes(index: Int) throws {
        let expected = Self.stretched[index]
        let rope = try Configurations.model(("head_dim", "16"), ("rope_scaling", expected.json)).ropes[0]
        let found = rope.inverseFrequencies(headSize: 16, length: expected.length)
        #expect(abs(rope.attentionFactor - expected.factor) <= 1e-6)
        for (found, value) in zip(found, expected.frequencies) { #expect(abs(found - value) <= 2e-6 * value) }
    }

    @Test func theLengthDecidesWhatKeysCanBeShared() throws {
        let longrope = try Configurations.model(("head_dim", "16"), ("rope_scaling", Self.longrope))
        #expect(longrope.rotation(ofLength: 32) == 0 && longrope.rotation(ofLength: 33) == 1)
        #expect(longrope.recomputedLength == 32)
        let dynamic = try Configurations.model(("rope_scaling", #"{"type": "dynamic", "factor": 2.0}"#))
        #expect(dynamic.rotation(ofLength: 128) == 0 && dynamic.rotation(ofLength: 129) == nil)
        #expect(dynamic.maximumPositions == 256)
        #expect(try Configurations.model().recomputedLength == nil)
    }

    @Test(arguments: ["su", "mrope", "proportional"])
    func otherTypesAreRefusedByName(type: String) {
        expectRefusal(.unsupported, naming: ["config.json: rope_scaling.type", type]) {
            _ = try Configurations.model(("rope_scaling", #"{"type": "\#(type)", "factor": 2}"#))
        }
    }

    @Test(arguments: [
        (#"{"rope_type": "linear"}"#, "factor"),
        (#"{"rope_type": "yarn"}"#, "factor"),
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
