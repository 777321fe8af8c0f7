package import DoraTensor

/// bitsandbytes NF4 and FP4: indices into sixteen values, and the largest magnitude of each block of the *flattened*
/// matrix, so that blocks straddle rows whose length is no multiple of theirs.
///
/// V is what `FourBitValues` says, rounded to the type that the matrix had when it was quantized (`quant_state.dtype`).
package struct FourBitWeights: WeightSource {
    enum Indices: Sendable {
        /// Two a byte, the first in the high nibble.
        case stored(TensorView)
        case computed(DenseWeights, FourBitCode.Nearest)
    }

    package let rows: Int
    package let columns: Int
    let code: FourBitCode
    let blockSize: Int
    let elementType: ElementType
    let indices: Indices
    let scales: BlockScales

    private var elementCount: Int { rows * columns }
    private var values: FourBitValues { FourBitValues(code: code, roundedTo: elementType) }
    package var fourBitValues: FourBitValues? { nativeFormat.isQuantized ? values : nil }
    /// Weights that share a scale in the kernels.
    static let kernelBlock = 64

    /// Codes are kept where the kernels' blocks are the checkpoint's; other widths are stored decoded, without loss.
    package var nativeFormat: MatrixFormat {
        if columns.isMultiple(of: Self.kernelBlock) && blockSize.isMultiple(of: Self.kernelBlock) {
            let nesting = scales.nesting(blockSize: blockSize)
            return nesting.map { .q4Nested(code.codebook, $0) } ?? .q4(code.codebook)
        }
        return switch elementType {
        case .bf16: .bf16
        case .f16: .f16
        default: .f32
        }
    }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let wanted = rows.lowerBound * columns..<rows.upperBound * columns
        let values = values
        if decode(wholeBlocks: wanted, by: values, into: out, on: compute) { return }
        readBlocks(of: wanted, on: compute) { elements, indices, scale in
            withUnsafePointer(to: scale) {
                values.decode(
                    indices, count: elements.count, scales: $0, block: elements.count,
                    into: out + (elements.lowerBound - wanted.lowerBound), on: compute)
            }
        }
    }

    /// All in one go, where blocks begin and end with the elements and lie in the checkpoint.
    private func decode(
        wholeBlocks wanted: Range<Int>, by values: FourBitValues, into out: UnsafeMutablePointer<Float>,
        on compute: Compute
    ) -> Bool {
        guard case .stored(let packed) = indices, wanted.lowerBound.isMultiple(of: blockSize),
            wanted.count.isMultiple(of: blockSize), !wanted.isEmpty,
            let scales = scales.values(
                of: wanted.lowerBound / blockSize..<wanted.upperBound / blockSize)
        else { return false }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: wanted.count) { buffer in
            guard let buffer = buffer.baseAddress else { return }
            packed.withBytes { Self.unpack($0, elements: wanted, into: buffer) }
            values.decode(
                buffer, count: wanted.count, scales: scales, block: blockSize, into: out, on: compute)
        }
        return true
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        guard builder.format.isQuantized else {
            storeDecoded(tile: tile, in: builder, on: compute)
            return
        }
        let range = rowRange(ofTile: tile)
        let wanted = range.lowerBound * columns..<range.upperBound * columns
        let all = PackedMatrix.tileRows * columns
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: all) { codes in
            guard let buffer = codes.baseAddress else { return }
            (buffer + wanted.count).initialize(repeating: 0, count: all - wanted.count)
            let maxima = copyIndices(of: wanted, into: buffer, on: compute)
            if case .nested(let nested) = scales, case .q4Nested = builder.format {
                builder.store(
                    tile: tile, codes: buffer, scales: kernelScales(of: wanted) { nested.codes(of: $0) })
            } else {
                builder.store(
                    tile: tile, codes: buffer,
                    scales: kernelScales(of: wanted) { scales.values(of: $0) ?? maxima })
            }
        }
    }

    /// Copies the indices of elements; answers the largest magnitudes of their blocks if they are computed.
    private func copyIndices(
        of wanted: Range<Int>, into out: UnsafeMutablePointer<UInt8>, on compute: Compute
    ) -> [Float] {
        if case .stored(let packed) = indices {
            packed.withBytes { Self.unpack($0, elements: wanted, into: out) }
            return []
        }
        var maxima: [Float] = []
        readBlocks(of: wanted, on: compute) { elements, indices, maximum in
            (out + (elements.lowerBound - wanted.lowerBound)).update(from: indices, count: elements.count)
            maxima.append(maximum)
        }
        return maxima
    }

    /// The scales of a tile's kernel blocks, `[16, columns / 64]`, zero in rows that do not exist.
    /// - Parameter values: those of the checkpoint's blocks, which may have several of the kernels' and straddle rows.
    private func kernelScales<Scale: Numeric>(
        of elements: Range<Int>, values: (Range<Int>) -> [Scale]
    ) -> [Scale] {
        let count = PackedMatrix.tileRows * columns / Self.kernelBlock
        guard !elements.isEmpty else { return [Scale](repeating: 0, count: count) }
        let blocks = elements.lowerBound / blockSize..<(elements.upperBound - 1) / blockSize + 1
        let values = values(blocks)
        if blockSize == Self.kernelBlock && values.count == count { return values }
        let first = elements.lowerBound / Self.kernelBlock
        let own = elements.count / Self.kernelBlock
        return (0..<count).map {
            $0 < own ? values[(first + $0) * Self.kernelBlock / blockSize - blocks.lowerBound] : 0
        }
    }

    package func dropPages(rows: Range<Int>) {
        switch indices {
        case .stored(let packed):
            let bytes = rows.lowerBound * columns / 2..<rows.upperBound * columns / 2
            packed.dropPages(elements: bytes)
            scales.dropPages(
                blocks: rows.lowerBound * columns / blockSize..<rows.upperBound * columns / blockSize)
        case .computed(let dense, _): dense.dropPages(rows: rows)
        }
    }

    /// Walks the blocks that hold the elements, and hands over the part of each that lies among them: its place in the
    /// flattened matrix, its indices and its scale.
    private func readBlocks(
        of elements: Range<Int>, on compute: Compute,
        _ body: (_ elements: Range<Int>, _ indices: UnsafePointer<UInt8>, _ scale: Float) -> Void
    ) {
        guard !elements.isEmpty else { return }
        let blocks = elements.lowerBound / blockSize..<(elements.upperBound - 1) / blockSize + 1
        let scales = scales.values(of: blocks)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: blockSize) { buffer in
            guard let buffer = buffer.baseAddress else { return }
            for block in blocks {
                let whole = block * blockSize..<min((block + 1) * blockSize, elementCount)
                let ownMaximum = readIndices(of: whole, into: buffer)
                let part = whole.clamped(to: elements)
                body(
                    part, buffer + (part.lowerBound - whole.lowerBound),
                    scales.map { $0[block - blocks.lowerBound] } ?? ownMaximum)
            }
        }
    }

    /// Whole bytes are unpacked in a loop without branches, which the compiler turns into vector instructions.
    private static func unpack(
        _ packed: UnsafeRawBufferPointer, elements: Range<Int>, into out: UnsafeMutablePointer<UInt8>
    ) {
        let startsWithin = elements.lowerBound % 2
        let pairs = (elements.count - startsWithin) / 2
        if startsWithin == 1 { out[0] = packed[elements.lowerBound / 2] & 15 }
        let bytes = UnsafeRawBufferPointer(
            rebasing: packed[(elements.lowerBound + startsWithin) / 2..<elements.upperBound / 2])
        let target = out + startsWithin
        for pair in 0..<pairs {
            target[2 * pair] = bytes[pair] >> 4
            target[2 * pair + 1] = bytes[pair] & 15
        }
        if startsWithin + 2 * pairs < elements.count {
            out[elements.count - 1] = packed[elements.upperBound / 2] >> 4
        }
    }

    /// Reads or computes the indices of one block; answers the largest magnitude of computed ones.
    private func readIndices(of block: Range<Int>, into out: UnsafeMutablePointer<UInt8>) -> Float {
        switch indices {
        case .stored(let packed):
            packed.withBytes { Self.unpack($0, elements: block, into: out) }
            return .nan
        case .computed(let dense, let nearest):
            return withUnsafeTemporaryAllocation(of: Float.self, capacity: block.count) { values in
                guard let values = values.baseAddress else { return .nan }
                dense.decode(elements: block, into: values)
                return quantize(values, count: block.count, nearest: nearest, into: out)
            }
        }
    }
}
