import CKernels

/// How keys and values are kept.
package enum KeyValueFormat: String, Sendable, CaseIterable {
    case f16
    case f32
    /// Int8 with a scale per position and head, for keys and for values. Attention rounds queries and weights, too, and
    /// sums up integers.
    case q8

    /// How the kernels call it.
    var kernelFormat: dk_cache_format {
        switch self {
        case .f16: DK_KV_F16
        case .f32: DK_KV_F32
        case .q8: DK_KV_Q8
        }
    }

    /// Bytes of a number.
    private var numberBytes: Int {
        switch self {
        case .f16: 2
        case .f32: 4
        case .q8: 1
        }
    }

    /// Numbers of one head's key as stored.
    private func keyStride(_ shape: KeyValueShape) -> Int {
        self == .q8 ? shape.headSize.roundedUp(to: 4) : shape.headSize
    }

    /// Floats beside one head's key and value.
    private var scales: Int { self == .q8 ? 2 : 0 }

    /// Where in a block of so many layers each has its own: the keys of all, then the values of all, then the scales.
    func layout(layers: Int, shape: KeyValueShape) -> KeyValueLayout {
        let positions = shape.keyValueHeads * KeyValueGeometry.blockPositions
        let valueStride = shape.headSize.roundedUp(to: 16)
        let keys = positions * keyStride(shape)
        let values = positions * valueStride
        let numberBytes = layers * (keys + values) * numberBytes
        return KeyValueLayout(
            keysPerLayer: keys, valuesPerLayer: values, scalesPerLayer: positions * scales,
            valueStride: valueStride, firstValue: layers * keys,
            firstScale: numberBytes / MemoryLayout<Float>.size,
            blockBytes: numberBytes + layers * positions * scales * MemoryLayout<Float>.size)
    }
}

/// How a block is divided: offsets and counts are of numbers and, for scales, of floats.
struct KeyValueLayout: Sendable, Equatable {
    let keysPerLayer: Int
    let valuesPerLayer: Int
    let scalesPerLayer: Int
    /// Numbers of one head's value as stored.
    let valueStride: Int
    let firstValue: Int
    let firstScale: Int
    let blockBytes: Int
}
