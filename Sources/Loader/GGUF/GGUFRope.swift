import DoraText
import Glibc

/// How a GGUF file says that rotary frequencies are stretched: keys, or a tensor with a divisor for each.
struct GGUFRope {
    private let model: GGUFModel
    private let prefix: String
    private var file: GGUFFile { model.head }

    init(_ model: GGUFModel) {
        self.model = model
        prefix = model.architecture.name + ".rope."
    }

    /// `rope_scaling`; nil where frequencies are as they are.
    func scaling(theta: Double) throws(LoadError) -> JSONValue? {
        if let divisors = try model.floats("rope_freqs.weight") {
            if let llama3 = Self.llama3(divisors, theta: theta) { return llama3 }
            return try longrope(short: divisors, long: divisors)
        }
        if let long = try model.floats("rope_factors_long.weight"),
            let short = try model.floats("rope_factors_short.weight")
        {
            return try longrope(short: short, long: long)
        }
        // Old files name the factor only.
        let old = try number("scale_linear")
        let type = try file.string(prefix + "scaling.type") ?? (old == nil ? "none" : "linear")
        if type == "none" { return nil }
        guard type == "linear" || type == "yarn" else {
            throw LoadError(
                .unsupported, file: file.path, field: prefix + "scaling.type",
                "rope type \"\(type)\" is not supported", advice: "use a model of type none, linear or yarn")
        }
        guard let factor = try number("scaling.factor") ?? old else {
            throw file.missing(prefix + "scaling.factor")
        }
        if type == "yarn" { return try yarn(factor: factor) }
        if factor == 1 { return nil }
        var members = Members()
        members["rope_type"] = .string(type)
        members["factor"] = .decimal(factor)
        return members.value
    }

    private func yarn(factor: Double) throws(LoadError) -> JSONValue {
        var members = Members()
        members["rope_type"] = .string("yarn")
        members["factor"] = .decimal(factor)
        if let positions = try originalPositions() {
            members["original_max_position_embeddings"] = .integer(positions)
        }
        if let fast = try number("scaling.yarn_beta_fast") { members["beta_fast"] = .decimal(fast) }
        if let slow = try number("scaling.yarn_beta_slow") { members["beta_slow"] = .decimal(slow) }
        // llama.cpp multiplies what transformers computes by itself where the key is absent.
        if let attention = try number("scaling.attn_factor") {
            members["attention_factor"] = .decimal(attention * Self.yarnAttention(factor: factor))
        }
        return members.value
    }

    /// Each frequency divided by a number of its own, of which there is another set for long texts.
    private func longrope(short: [Float], long: [Float]) throws(LoadError) -> JSONValue {
        func list(_ values: [Float]) -> JSONValue {
            .array(values.map { .number(JSONNumber(text: $0.description)) })
        }
        var members = Members()
        members["rope_type"] = .string("longrope")
        members["short_factor"] = list(short)
        members["long_factor"] = list(long)
        members["attention_factor"] = .decimal(try number("scaling.attn_factor") ?? 1)
        if let positions = try originalPositions() {
            members["original_max_position_embeddings"] = .integer(positions)
        }
        return members.value
    }

    /// The parameters of Llama 3's stretching, from which its converter computes the divisors; nil where these are others.
    private static func llama3(_ divisors: [Float], theta: Double) -> JSONValue? {
        guard let factor = divisors.max(), factor > 1 else { return nil }
        // The context of the model before it was stretched is a power of two.
        for positions in (4...20).map({ 1 << $0 }) {
            let isMatch = divisors.indices.allSatisfy { pair in
                let expected = llama3Divisor(
                    pair: pair, of: divisors.count, theta: theta, factor: Double(factor),
                    positions: Double(positions))
                return abs(expected - Double(divisors[pair])) <= 1e-4 * expected
            }
            guard isMatch else { continue }
            var members = Members()
            members["rope_type"] = .string("llama3")
            members["factor"] = .number(JSONNumber(text: factor.description))
            members["low_freq_factor"] = .integer(1)
            members["high_freq_factor"] = .integer(4)
            members["original_max_position_embeddings"] = .integer(positions)
            return members.value
        }
        return nil
    }

    /// Source: llama.cpp `conversion/llama.py`, with the factors 1 and 4 that all such models have.
    static func llama3Divisor(
        pair: Int, of pairs: Int, theta: Double, factor: Double, positions: Double
    ) -> Double {
        let wavelength = 2 * Double.pi * pow(theta, Double(pair) / Double(pairs))
        if wavelength < positions / 4 { return 1 }
        if wavelength > positions { return factor }
        let blend = (positions / wavelength - 1) / 3
        return 1 / ((1 - blend) / factor + blend)
    }

    /// What transformers and llama.cpp multiply cosines and sines by where nothing else is said.
    static func yarnAttention(factor: Double) -> Double { factor > 1 ? 0.1 * log(factor) + 1 : 1 }

    private func originalPositions() throws(LoadError) -> Int? {
        try file.integer(prefix + "scaling.original_context_length")
    }

    private func number(_ key: String) throws(LoadError) -> Double? {
        switch file.value(prefix + key) {
        case nil: nil
        case .integer(let value): Double(value)
        case .float(let value, _) where value.isFinite: value
        case .some(let other): throw file.mismatch(prefix + key, expected: "a finite number", other)
        }
    }
}
