import DoraTensor
package import DoraText

/// The largest magnitude of every block of a 4-bit matrix, as the checkpoint holds them.
package enum BlockScales: Sendable {
    case plain(TensorView)
    /// Double quantization: scale j = map[code j] * maximum of its group + offset (QLoRA, section 3).
    case nested(Nested)
    /// Each block's own maximum, found when its weights are.
    case fromWeights

    package struct Nested: Sendable {
        package let codes: TensorView
        package let map: [Float]
        package let groupMaxima: [Float]
        package let groupSize: Int
        package let offset: Float

        package init(
            codes: TensorView, map: [Float], groupMaxima: [Float], groupSize: Int, offset: Float
        ) throws(LoadError) {
            guard codes.elementType == .u8, map.count == 256, groupSize > 0,
                groupMaxima.count == codes.count.roundedUp(to: groupSize) / groupSize
            else {
                throw LoadError(
                    .mismatch, file: codes.file, field: codes.name,
                    expected: "U8 codes, a map of 256 and a maximum for each group of \(groupSize)",
                    found: "\(codes.elementType.rawValue), \(map.count) and \(groupMaxima.count)",
                    advice: "the checkpoint is damaged; download it again")
            }
            self.codes = codes
            self.map = map
            self.groupMaxima = groupMaxima
            self.groupSize = groupSize
            self.offset = offset
        }

        /// As they are stored.
        func codes(of blocks: Range<Int>) -> [UInt8] { codes.withBytes { Array($0[blocks]) } }

        /// A group's at a time.
        fileprivate func values(of blocks: Range<Int>) -> [Float] {
            [Float](unsafeUninitializedCapacity: blocks.count) { out, count in
                codes.withBytes { codes in
                    map.withUnsafeBufferPointer { map in
                        var block = blocks.lowerBound
                        while block < blocks.upperBound {
                            let group = block / groupSize
                            let maximum = groupMaxima[group]
                            let end = min((group + 1) * groupSize, blocks.upperBound)
                            for index in block..<end {
                                out[index - blocks.lowerBound] = map[Int(codes[index])] * maximum + offset
                            }
                            block = end
                        }
                    }
                }
                count = blocks.count
            }
        }
    }

    /// How the kernels read nested scales where they are; nil where groups do not divide as they need it.
    /// - Parameter blockSize: weights of one block, a multiple of 64.
    func nesting(blockSize: Int) -> ScaleNesting? {
        guard case .nested(let nested) = self else { return nil }
        let blocks = nested.groupSize * (blockSize / 64)
        guard blocks.nonzeroBitCount == 1 else { return nil }
        return ScaleNesting(
            map: nested.map, groupMaxima: nested.groupMaxima, offset: nested.offset,
            groupShift: blocks.trailingZeroBitCount)
    }

    /// The scales of a range of blocks; nil when they are to be found from the weights.
    func values(of blocks: Range<Int>) -> [Float]? {
        switch self {
        case .fromWeights: nil
        case .plain(let tensor):
            [Float](unsafeUninitializedCapacity: blocks.count) { buffer, count in
                tensor.convert(blocks, into: buffer)
                count = blocks.count
            }
        case .nested(let nested): nested.values(of: blocks)
        }
    }

    func dropPages(blocks: Range<Int>) {
        switch self {
        case .fromWeights: break
        case .plain(let tensor): tensor.dropPages(elements: blocks)
        case .nested(let nested): nested.codes.dropPages(elements: blocks)
        }
    }
}

/// bitsandbytes' "dynamic" 8-bit type, which double quantization stores block scales in.
///
/// Seven decades 10^-6 ... 1; decade i holds 2^i values of each sign, the midpoints of equal parts of 0.1...1; then 0
/// and 1 (`bitsandbytes/functional.py`, `create_dynamic_map`).
enum DynamicMap {
    static let values: [Float] = {
        var values: [Float] = [0, 1]
        for decade in 0..<7 {
            let parts = 1 << decade
            let step = Float(0.9) / Float(parts)
            // As torch.linspace: the first half counts up from the start, the second down from the end.
            let bounds = (0...parts).map { index in
                index < (parts + 1) / 2
                    ? Float(0.1).addingProduct(step, Float(index))
                    : Float(1).addingProduct(-step, Float(parts - index))
            }
            let scale = powerOfTen(decade - 6)
            for (low, high) in zip(bounds, bounds.dropFirst()) {
                let mean = scale * ((low + high) / 2)
                values += [mean, -mean]
            }
        }
        return values.sorted()
    }()

    private static func powerOfTen(_ exponent: Int) -> Float {
        let powers: [Float] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]
        return powers[exponent + 6]
    }

    /// Index of the value for `x` in -1...1. Not quite the nearest: bitsandbytes' CPU code first rounds to one of 65536
    /// points, in F32, and looks up the value nearest to that.
    static func index(of x: Float) -> UInt8 {
        let place = ((x + 1) * 32767.5 + 0.5).rounded(.down)
        let point = Double(place) / 32767.5 - 1
        var low = 0
        var high = values.count - 1
        while low < high {
            let middle = (low + high) / 2
            let isAbove = point > (Double(values[middle]) + Double(values[middle + 1])) / 2
            if isAbove { low = middle + 1 } else { high = middle }
        }
        return UInt8(low)
    }
}
