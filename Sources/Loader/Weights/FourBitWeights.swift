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
        let blocks = PackedMatrix.tileRows * columns / Self.kernelBlock
        var packedScales = [Float](repeating: 0, count: blocks)
        var packedIndices = [UInt8](repeating: 0, count: PackedMatrix.tileRows * columns)
        readBlocks(of: wanted, on: compute) { elements, indices, scale in
            let first = elements.lowerBound - wanted.lowerBound
            packedIndices.withUnsafeMutableBufferPointer { all in
                _ = UnsafeMutableBufferPointer(rebasing: all[first..<first + elements.count])
                    .update(fromContentsOf: UnsafeBufferPointer(start: indices, count: elements.count))
            }
            for block in first / Self.kernelBlock..<(first + elements.count) / Self.kernelBlock {
                packedScales[block] = scale
            }
        }
        guard case .nested(let nested) = scales, case .q4Nested = builder.format else {
            builder.store(tile: tile, codes: packedIndices, scales: packedScales)
            return
        }
        var scaleCodes = [UInt8](repeating: 0, count: blocks)
        nested.codes.withBytes { codes in
            let first = wanted.lowerBound / Self.kernelBlock
            for block in 0..<wanted.count / Self.kernelBlock {
                scaleCodes[block] = codes[(first + block) * Self.kernelBlock / blockSize]
            }
        }
        builder.store(tile: tile, codes: packedIndices, scales: scaleCodes)
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
