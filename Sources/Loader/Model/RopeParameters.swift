import Glibc

/// Rotary position embedding: the base and how its frequencies are stretched for long contexts.
///
/// Source: transformers `modeling_rope_utils.py`.
package struct RopeParameters: Equatable, Sendable {
    package enum Scaling: Equatable, Sendable {
        case none
        /// Every frequency divided by `factor`.
        case linear(factor: Double)
        /// A base that grows with the sequence once that is longer than `positions`.
        case dynamic(factor: Double, positions: Int)
        /// A base that is stretched once and for all.
        case fixed(alpha: Double)
        case llama3(Llama3Scaling)
        case yarn(YarnScaling)
        case longrope(LongropeScaling)
    }

    /// Low frequencies are divided by `factor`, high ones kept, those between blended.
    package struct Llama3Scaling: Equatable, Sendable {
        package let factor: Double
        package let lowFrequencyFactor: Double
        package let highFrequencyFactor: Double
        /// Context length of the model before it was stretched, in tokens.
        package let originalPositions: Int
    }

    /// The same with a ramp over the dimensions, between those that turn `slow` and `fast` times in the original context.
    package struct YarnScaling: Equatable, Sendable {
        package let factor: Double
        /// Of cosines and sines.
        package let attentionFactor: Double
        package let fast: Double
        package let slow: Double
        package let isTruncated: Bool
        package let originalPositions: Int
    }

    /// Each frequency divided by a factor of its own: one set for sequences within the original context, one for longer
    /// ones.
    package struct LongropeScaling: Equatable, Sendable {
        package let short: [Double]
        package let long: [Double]
        /// Of cosines and sines.
        package let attentionFactor: Double
        package let originalPositions: Int
    }

    package let theta: Double
    package let scaling: Scaling
    /// Of a head's dimensions, from the first on, those that are rotated.
    package let fraction: Double

    package init(theta: Double, scaling: Scaling = .none, fraction: Double = 1) {
        self.theta = theta
        self.scaling = scaling
        self.fraction = fraction
    }

    /// Dimensions of a head that are rotated.
    package func dimensions(headSize: Int) -> Int { Int(Double(headSize) * fraction) }

    /// What cosines and sines are multiplied by.
    package var attentionFactor: Float {
        switch scaling {
        case .none, .linear, .dynamic, .fixed, .llama3: 1
        case .yarn(let yarn): Float(yarn.attentionFactor)
        case .longrope(let longrope): Float(longrope.attentionFactor)
        }
    }

    /// How the rotation of a token follows from the length of its sequence.
    package enum LengthDependence: Equatable, Sendable {
        case none
        /// All tokens of a sequence that is longer are rotated differently.
        case switches(behind: Int)
        /// Each step of a sequence that is longer has frequencies of its own.
        case grows(behind: Int)
    }

    package var lengthDependence: LengthDependence {
        switch scaling {
        case .dynamic(_, let positions): .grows(behind: positions)
        case .longrope(let longrope): .switches(behind: longrope.originalPositions)
        case .none, .linear, .fixed, .llama3, .yarn: .none
        }
    }

    /// `[dimensions / 2]`: radians per position of each pair of dimensions, in F32 as transformers computes them.
    /// - Parameter length: of the sequence.
    package func inverseFrequencies(headSize: Int, length: Int = 0) -> [Float] {
        let dimensions = dimensions(headSize: headSize)
        func powers(_ base: Double) -> [Float] {
            (0..<dimensions / 2).map { pow(Float(base), Float(2 * $0) / Float(dimensions)) }
        }
        func stretched(_ factor: Double) -> [Float] {
            powers(theta * pow(factor, Double(dimensions) / Double(dimensions - 2))).map { 1 / $0 }
        }
        let powers = powers(theta)
        switch scaling {
        case .none: return powers.map { 1 / $0 }
        case .linear(let factor): return powers.map { 1 / $0 / Float(factor) }
        case .dynamic(let factor, let positions):
            return stretched(factor * Double(max(length, positions)) / Double(positions) - (factor - 1))
        case .fixed(let alpha): return stretched(alpha)
        case .llama3(let scaling): return powers.map { scaling.scaled(1 / $0) }
        case .yarn(let yarn): return yarn.scaled(powers, theta: theta, dimensions: dimensions)
        case .longrope(let longrope):
            let factors = length > longrope.originalPositions ? longrope.long : longrope.short
            return zip(factors, powers).map { 1 / (Float($0) * $1) }
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

extension RopeParameters.YarnScaling {
    /// - Parameter powers: the wavelengths over 2 pi.
    fileprivate func scaled(_ powers: [Float], theta: Double, dimensions: Int) -> [Float] {
        /// The dimension that turns so often in the original context.
        func dimension(turning turns: Double) -> Double {
            Double(dimensions) * log(Double(originalPositions) / (turns * 2 * Double.pi)) / (2 * log(theta))
        }
        let (first, last) = (dimension(turning: fast), dimension(turning: slow))
        let low = max(isTruncated ? first.rounded(.down) : first, 0)
        var high = min(isTruncated ? last.rounded(.up) : last, Double(dimensions - 1))
        if low == high { high += 0.001 }
        return powers.enumerated().map { pair, power in
            let ramp = min(max((Float(pair) - Float(low)) / Float(high - low), 0), 1)
            let kept = 1 - ramp
            return 1 / (Float(factor) * power) * (1 - kept) + 1 / power * kept
        }
    }
}

/// How queries grow behind the context that a model was first trained for: by 1 + beta ln(1 + floor(position / positions)).
package struct QueryGrowth: Equatable, Sendable {
    package let beta: Double
    package let positions: Int

    package func factor(at position: Int) -> Float {
        1 + Float(beta) * log(1 + Float(position / positions))
    }
}
