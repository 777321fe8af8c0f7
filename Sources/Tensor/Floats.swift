import CKernels
import COpenBLAS

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

    package func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double {
        kernels.pointee.sum_squares(x, Int64(count))
    }

    /// How much of a change survives storing: with d = wanted - before, the sums of (stored - before) * d and of d * d.
    package func survival(
        before: UnsafePointer<Float>, wanted: UnsafePointer<Float>, stored: UnsafePointer<Float>, count: Int
    ) -> (kept: Double, asked: Double) {
        var sums = (0.0, 0.0)
        withUnsafeMutableBytes(of: &sums) { bytes in
            let start = bytes.assumingMemoryBound(to: Double.self).baseAddress
            kernels.pointee.survival(before, wanted, stored, Int64(count), start)
        }
        return (kept: sums.0, asked: sums.1)
    }

    /// Rounds to the nearest half, ties to even, in place.
    package func roundToHalf(_ x: UnsafeMutablePointer<Float>, count: Int) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: count) { halves in
            guard let start = halves.baseAddress else { return }
            kernels.pointee.halve(x, Int64(count), start)
            kernels.pointee.widen(start, Int64(count), false, x)
        }
    }

    /// `c[m, n] += alpha * a[m, k] x b[k, n]`, row-major. OpenBLAS's bits depend on the shape: call it with one tile
    /// shape always.
    package static func multiplyAdd(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, m: Int,
        n: Int,
        k: Int, alpha: Float
    ) {
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(m), Int32(n), Int32(k), alpha, a, Int32(k), b,
            Int32(n), 1, c, Int32(n))
    }
}
