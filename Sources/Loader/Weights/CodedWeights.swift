import DoraTensor

/// A matrix whose checkpoint holds codes that the kernels take as they are.
protocol CodedWeights: WeightSource {
    /// Reads what `nativeFormat` keeps.
    /// - Parameters:
    ///   - codes: `[rows.count, columns]`.
    ///   - scales: `[rows.count, nativeFormat.scaleBytes(columns:)]` of zeros; what pads a row stays zero.
    func readCodes(
        rows: Range<Int>, into codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutableRawPointer)
}

extension CodedWeights {
    func storeCodes(tile: Int, in builder: PackedMatrix.Builder) {
        let codeCount = PackedMatrix.tileRows * columns
        let scaleCount = PackedMatrix.tileRows * builder.format.scaleBytes(columns: columns)
        withUnsafeTemporaryAllocation(byteCount: scaleCount + codeCount, alignment: 64) { memory in
            guard let scales = memory.baseAddress else { return }
            scales.initializeMemory(as: UInt8.self, repeating: 0, count: scaleCount)
            let range = rowRange(ofTile: tile)
            let codes = (scales + scaleCount).bindMemory(to: UInt8.self, capacity: codeCount)
            (codes + range.count * columns).update(
                repeating: 0, count: (PackedMatrix.tileRows - range.count) * columns)
            readCodes(rows: range, into: codes, scales: scales)
            builder.store(tile: tile, codes: codes, scales: scales)
        }
    }
}
