import CKernels

/// What stands between the two halves of a feed-forward network.
package enum Activation: String, Sendable, Equatable {
    case silu
    case gelu
    /// GELU by its approximation with tanh.
    case geluTanh
    case reluSquared

    fileprivate var kernel: dk_activation {
        switch self {
        case .silu: DK_SILU
        case .gelu: DK_GELU
        case .geluTanh: DK_GELU_TANH
        case .reluSquared: DK_RELU_SQUARED
        }
    }
}

/// Operations on rows of floats. All are pure functions of their inputs: same bits on every CPU and any thread count.
extension Compute {
    package func rmsNorm(
        _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, count: Int, epsilon: Float,
        into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.rms_norm(x, weight, Int64(count), epsilon, out)
    }

    package func layerNorm(
        _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?, count: Int,
        epsilon: Float, into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.layer_norm(x, weight, bias, Int64(count), epsilon, out)
    }

    /// `out = activation(gate) * up`, or without `up` where there is none; `out` may be `gate`.
    package func activate(
        _ activation: Activation, gate: UnsafePointer<Float>, up: UnsafePointer<Float>?, count: Int,
        into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.activate(activation.kernel, gate, up, Int64(count), out)
    }

    package func add(_ y: UnsafePointer<Float>, to x: UnsafeMutablePointer<Float>, count: Int) {
        kernels.pointee.add(x, y, Int64(count))
    }

    package func scale(_ x: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
        kernels.pointee.scale(x, factor, Int64(count))
    }

    /// To at most `limit` in magnitude.
    package func clip(_ x: UnsafeMutablePointer<Float>, to limit: Float, count: Int) {
        kernels.pointee.clip(x, limit, Int64(count))
    }

    /// `x = cap tanh(x / cap)`.
    package func softCap(_ x: UnsafeMutablePointer<Float>, to cap: Float, count: Int) {
        kernels.pointee.soft_cap(x, cap, Int64(count))
    }

    /// Rotary embedding of the first dimensions of one token's heads.
    /// - Parameter angles: cosines of `pairs` angles, then their sines.
    package func rotate(
        _ x: UnsafeMutablePointer<Float>, angles: UnsafePointer<Float>, pairs: Int, isInterleaved: Bool,
        heads: Int, headSize: Int
    ) {
        kernels.pointee.rotate(
            x, angles, angles + pairs, Int64(heads), Int64(headSize), Int64(pairs), isInterleaved)
    }

    /// Rounds to the nearest half, ties to even, in place.
    package func roundToHalf(_ x: UnsafeMutablePointer<Float>, count: Int) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: count) { halves in
            guard let start = halves.baseAddress else { return }
            kernels.pointee.halve(x, Int64(count), start)
            kernels.pointee.widen(start, Int64(count), false, x)
        }
    }

    /// out[i] = (codes[i] * scale) * unit.
    /// - Parameter codes: `[count]`
    package func widen(
        _ codes: UnsafePointer<Int8>, count: Int, scale: Float, unit: Float,
        into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.widen_codes(codes, Int64(count), scale, unit, out)
    }

    /// What decoded values are rounded to.
    package enum Rounding: Sendable {
        case none, half, brain

        var target: dk_target {
            switch self {
            case .none: DK_UNROUNDED
            case .half: DK_TO_HALF
            case .brain: DK_TO_BRAIN
            }
        }
    }

    /// out[i] = values[indices[i]] * scales[i / block], rounded.
    /// - Parameters:
    ///   - indices: `[count]`, of which four bits count.
    ///   - values: 16 of them.
    ///   - scales: one for each block, the last of which may be shorter.
    package func lookUp(
        _ indices: UnsafePointer<UInt8>, count: Int, values: [Float], scales: UnsafePointer<Float>,
        block: Int,
        rounding: Rounding, into out: UnsafeMutablePointer<Float>
    ) {
        precondition(values.count == 16 && block > 0)
        kernels.pointee.look_up(
            indices, Int64(count), values, scales, Int64(block), rounding.target, out)
    }
}
