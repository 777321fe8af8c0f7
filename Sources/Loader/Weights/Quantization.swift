import DoraTensor
import DoraText

/// How a 16- or 32-bit checkpoint is quantized when it is loaded: the same codes and scales that bitsandbytes would
/// compute, so that an adapter meets the very base it was trained on.
package enum Quantization: String, Sendable, CaseIterable {
    case int8
    case nf4
    case nf4Double = "nf4-double"
    case fp4

    func quantize(_ dense: DenseWeights, on compute: Compute) throws(LoadError) -> any WeightSource {
        switch self {
        case .int8: Int8Weights(quantizing: dense)
        case .nf4: try FourBitWeights(quantizing: dense, code: .nf4, doubleQuantized: false, on: compute)
        case .nf4Double: try FourBitWeights(quantizing: dense, code: .nf4, doubleQuantized: true, on: compute)
        case .fp4: try FourBitWeights(quantizing: dense, code: .fp4, doubleQuantized: false, on: compute)
        }
    }
}
