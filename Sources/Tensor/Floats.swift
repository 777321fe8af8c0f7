import CKernels

/// Operations on rows of floats. All are pure functions of their inputs: same bits on every CPU and any thread count.
extension Compute {
    package func rmsNorm(
        _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, count: Int, epsilon: Float,
        into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.rms_norm(x, weight, Int64(count), epsilon, out)
    }

    /// `gate = silu(gate) * up`.
    package func swiglu(gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int) {
        kernels.pointee.swiglu(gate, up, Int64(count))
    }

    package func add(_ y: UnsafePointer<Float>, to x: UnsafeMutablePointer<Float>, count: Int) {
        kernels.pointee.add(x, y, Int64(count))
    }

    /// Rotary embedding of one token's heads: pairs `(i, i + headSize / 2)`.
    package func rotate(
        _ x: UnsafeMutablePointer<Float>, cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>,
        heads: Int,
        headSize: Int
    ) {
        kernels.pointee.rotate(x, cosines, sines, Int64(heads), Int64(headSize))
    }

    /// Rounds to the nearest half, ties to even, in place.
    package func roundToHalf(_ x: UnsafeMutablePointer<Float>, count: Int) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: count) { halves in
            guard let start = halves.baseAddress else { return }
            kernels.pointee.halve(x, Int64(count), start)
            kernels.pointee.widen(start, Int64(count), false, x)
        }
    }
}
