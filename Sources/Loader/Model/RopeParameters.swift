import DoraText
import Glibc

/// Rotary position embedding: the base and how its frequencies are stretched for long contexts.
///
/// Source: transformers `modeling_rope_utils.py`.
package struct RopeParameters: Equatable, Sendable {
    package enum Scaling: Equatable, Sendable {
        case none
        /// Every frequency divided by `factor`.
        case linear(factor: Double)
        case llama3(Llama3Scaling)
    }

    /// Low frequencies are divided by `factor`, high ones kept, those between blended.
    package struct Llama3Scaling: Equatable, Sendable {
        package let factor: Double
        package let lowFrequencyFactor: Double
        package let highFrequencyFactor: Double
        /// Context length of the model before it was stretched, in tokens.
        package let originalPositions: Int
    }

    package let theta: Double
    package let scaling: Scaling

    package init(theta: Double, scaling: Scaling = .none) {
        self.theta = theta
        self.scaling = scaling
    }

    /// `[headSize / 2]`: radians per position of each pair of dimensions, in F32 as transformers computes them.
    package func inverseFrequencies(headSize: Int) -> [Float] {
        let base = (0..<headSize / 2).map { pair in
            1 / pow(Float(theta), Float(2 * pair) / Float(headSize))
        }
        switch scaling {
        case .none: return base
        case .linear(let factor): return base.map { $0 / Float(factor) }
        case .llama3(let scaling): return base.map(scaling.scaled)
        }
    }
}

extension RopeParameters.Llama3Scaling {
    fileprivate func scaled(_ frequency: Float) -> Float {
        let factor = Float(factor)
        let low = Float(lowFrequencyFactor)
        let high = Float(highFrequencyFactor)
        let positions = Float(originalPositions)
        let wavelength = 2 * Float.pi / frequency
        if wavelength < positions / high { return frequency }
        if wavelength > positions / low { return frequency / factor }
        let blend = (positions / wavelength - low) / (high - low)
        return (1 - blend) * frequency / factor + blend * frequency
    }
}

extension RopeParameters {
    /// Reads both spellings: `rope_theta` beside `rope_scaling` (transformers 4), and all in `rope_parameters` (5).
    init(_ config: JSONFields, maximumPositions: Int) throws(LoadError) {
        let key = config["rope_scaling"] == nil ? "rope_parameters" : "rope_scaling"
        let nested = try config.fields(key) ?? JSONFields(JSONObject(), file: config.file, prefix: key + ".")
        for fields in [config, nested] {
            if let factor = try fields.double("partial_rotary_factor"), factor != 1 {
                throw fields.unsupported(
                    "partial_rotary_factor",
                    "only heads that are rotated whole are supported, found \(factor)",
                    advice: "use a model without it")
            }
        }
        let oldTheta = try config.positiveDouble("rope_theta")
        theta = try nested.positiveDouble("rope_theta") ?? oldTheta ?? 10_000
        let typeKey = nested["rope_type"] == nil ? "type" : "rope_type"
        let type = try nested.string(typeKey) ?? "default"
        switch type {
        case "default": scaling = .none
        case "linear": scaling = .linear(factor: try Self.required("factor", nested))
        case "llama3":
            scaling = .llama3(try Self.llama3(nested, config, maximumPositions: maximumPositions))
        default:
            throw nested.unsupported(
                typeKey, "rope type \"\(type)\" is not supported",
                advice: "use a model of type default, linear or llama3")
        }
    }

    private static func llama3(
        _ nested: JSONFields, _ config: JSONFields, maximumPositions: Int
    ) throws(LoadError) -> Llama3Scaling {
        let key = "original_max_position_embeddings"
        let limits = 1...ModelConfiguration.Limit.positions
        let nestedPositions = try nested.int(key, in: limits)
        let positions = try config.int(key, in: limits) ?? nestedPositions ?? maximumPositions
        let low = try required("low_freq_factor", nested)
        let high = try required("high_freq_factor", nested)
        guard high > low else {
            throw LoadError(
                .malformed, file: nested.file, field: nested.path("high_freq_factor"),
                expected: "more than low_freq_factor (\(low))", found: "\(high)")
        }
        return Llama3Scaling(
            factor: try required("factor", nested), lowFrequencyFactor: low, highFrequencyFactor: high,
            originalPositions: positions)
    }

    private static func required(_ key: String, _ fields: JSONFields) throws(LoadError) -> Double {
        guard let value = try fields.positiveDouble(key) else { throw fields.missing(key) }
        return value
    }
}
