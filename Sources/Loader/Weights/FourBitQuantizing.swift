package import DoraTensor
package import DoraText

/// Quantizing a 16- or 32-bit matrix as bitsandbytes does when it is loaded in 4 bits
/// (`bitsandbytes/backends/default/ops.py`, `quantize_4bit`).
extension FourBitWeights {
    private static let defaultBlockSize = 64
    private static let defaultGroupSize = 256
    /// Block maxima below this count as this, so that blocks of zeros do not divide by zero.
    private static let leastMaximum: Float = 1e-38

    /// Indices are computed from the dense matrix whenever they are read; nothing is kept but, for double
    /// quantization, the block scales (one byte for 64 weights).
    package init(
        quantizing dense: DenseWeights, code: FourBitCode, doubleQuantized: Bool, on compute: Compute
    ) throws(LoadError) {
        self.init(
            rows: dense.rows, columns: dense.columns, code: code, blockSize: Self.defaultBlockSize,
            elementType: dense.tensor.elementType, indices: .computed(dense, FourBitCode.Nearest(code)),
            scales: doubleQuantized
                ? .nested(try Self.nestedScales(of: dense, on: compute)) : .fromWeights)
    }

    /// Quantizes one block: w * (1 / absmax) against the midpoints; a last partial block divides instead.
    /// Answers the block's scale.
    func quantize(
        _ values: UnsafePointer<Float>, count: Int, nearest: FourBitCode.Nearest,
        into out: UnsafeMutablePointer<UInt8>
    ) -> Float {
        let maximum = Magnitude.largest(values, count: count)
        let divisor = max(maximum, Self.leastMaximum)
        let isWhole = count == blockSize
        let inverse = 1 / divisor
        for index in 0..<count {
            let scaled = isWhole ? values[index] * inverse : values[index] / divisor
            out[index] = nearest.index(of: min(max(scaled, -1), 1))
        }
        return isWhole ? maximum : divisor
    }

    private static func nestedScales(
        of dense: DenseWeights, on compute: Compute
    ) throws(LoadError) -> BlockScales.Nested {
        let maxima = blockMaxima(of: dense, on: compute)
        dense.dropPages(rows: 0..<dense.rows)
        let offset = Float(maxima.reduce(0) { $0 + Double($1) } / Double(maxima.count))
        let centred = maxima.map { $0 - offset }
        var codes: [UInt8] = []
        var groupMaxima: [Float] = []
        for start in stride(from: 0, to: centred.count, by: defaultGroupSize) {
            let group = Array(centred[start..<min(start + defaultGroupSize, centred.count)])
            let maximum = Magnitude.largest(group, count: group.count)
            let inverse = maximum > 0 ? 1 / maximum : 0
            codes += group.map { DynamicMap.index(of: $0 * inverse) }
            groupMaxima.append(maximum)
        }
        return try BlockScales.Nested(
            codes: TensorView(
                name: dense.tensor.name + ".absmax", file: dense.tensor.file, elementType: .u8,
                shape: [codes.count], bytes: codes),
            map: DynamicMap.values, groupMaxima: groupMaxima, groupSize: defaultGroupSize, offset: offset)
    }

    private static func blockMaxima(of dense: DenseWeights, on compute: Compute) -> [Float] {
        let size = defaultBlockSize
        let count = dense.rows * dense.columns
        let blocks = count.roundedUp(to: size) / size
        let blocksPerTask = 1024
        return [Float](unsafeUninitializedCapacity: blocks) { maxima, initialized in
            guard let maxima = maxima.baseAddress else { return }
            compute.parallel(blocks.roundedUp(to: blocksPerTask) / blocksPerTask) { task in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { values in
                    guard let values = values.baseAddress else { return }
                    for block in task * blocksPerTask..<min((task + 1) * blocksPerTask, blocks) {
                        let elements = block * size..<min((block + 1) * size, count)
                        dense.decode(elements: elements, into: values)
                        let largest = Magnitude.largest(values, count: elements.count)
                        maxima[block] = elements.count == size ? largest : max(largest, leastMaximum)
                    }
                }
            }
            initialized = blocks
        }
    }
}

extension Float {
    /// The nearest bfloat16, ties to even.
    var roundedToBrain: Float {
        guard isFinite else { return self }
        return Float(bitPattern: (bitPattern &+ 0x7FFF &+ (bitPattern >> 16 & 1)) & 0xFFFF_0000)
    }
}
