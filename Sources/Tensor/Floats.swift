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

    /// IEEE half or bfloat16 to float. `source` need not be aligned.
    package func widen(
        _ source: UnsafePointer<UInt16>, count: Int, brain: Bool, into out: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.widen(source, Int64(count), brain, out)
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
