package import DoraTensor

/// A matrix that lies in a packed file, in the tiles that the kernels stream: V is decoded from the same bytes.
package struct PackedWeights: WeightSource {
    /// What V is.
    enum Values: Sendable {
        /// Exactly what the tiles stand for, rounded to a type.
        case tiles(roundedTo: ElementType)
        static let exact = Values.tiles(roundedTo: .f32)
        /// Their indices' values, rounded as these say.
        case fourBit(FourBitValues)
        /// Beside the tiles, which are rounded.
        case rows(any WeightSource)
    }

    let matrix: PackedMatrix
    let values: Values

    package var rows: Int { matrix.rows }
    package var columns: Int { matrix.columns }
    package var stored: PackedMatrix? { matrix }

    package var fourBitValues: FourBitValues? {
        if case .fourBit(let fourBit) = values { fourBit } else { nil }
    }

    package var codeRounding: ElementType {
        if case .tiles(let type) = values { type } else { .f32 }
    }

    package var nativeFormat: MatrixFormat {
        if case .rows(let source) = values { source.nativeFormat } else { matrix.format }
    }

    package var inputOrder: InputOrder? { matrix.inputOrder }

    package func isExact(in format: MatrixFormat) -> Bool {
        if case .rows(let source) = values { source.isExact(in: format) } else { format == matrix.format }
    }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        if case .rows(let source) = values {
            source.decode(rows: rows, into: out, on: compute)
            return
        }
        let height = PackedMatrix.tileRows
        var row = rows.lowerBound
        while row < rows.upperBound {
            let tile = row / height
            let part = matrix.rowRange(ofTile: tile).clamped(to: rows)
            let target = out + (row - rows.lowerBound) * columns
            if part.count == height {
                decode(tile: tile, into: target, on: compute)
            } else {
                withUnsafeTemporaryAllocation(of: Float.self, capacity: height * columns) { block in
                    guard let start = block.baseAddress else { return }
                    decode(tile: tile, into: start, on: compute)
                    target.update(
                        from: start + (row - tile * height) * columns, count: part.count * columns)
                }
            }
            row = part.upperBound
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        if case .rows(let source) = values {
            source.storeNative(tile: tile, in: builder, on: compute)
        } else {
            storeDecoded(tile: tile, in: builder, on: compute)
        }
    }

    /// Pages of the tiles stay: whoever runs the base uses them. Those of V beside them go.
    package func dropPages(rows: Range<Int>) {
        if case .rows(let source) = values { source.dropPages(rows: rows) }
    }

    /// A whole tile, `[16, columns]`.
    private func decode(tile: Int, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        guard case .fourBit(let fourBit) = values else {
            matrix.unpack(tile: tile, into: out, on: compute)
            codeRounding.round(out, count: PackedMatrix.tileRows * columns, on: compute)
            return
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: PackedMatrix.tileRows * columns) { indices in
            guard let indices = indices.baseAddress else { return }
            let scales = blockScales(tile: tile, indices: indices, on: compute)
            fourBit.decode(
                indices, count: PackedMatrix.tileRows * columns, scales: scales,
                block: FourBitWeights.kernelBlock, into: out, on: compute)
        }
    }

    /// The largest magnitudes of a tile's blocks, `[16, columns / 64]`; the indices on the way.
    private func blockScales(
        tile: Int, indices: UnsafeMutablePointer<UInt8>, on compute: Compute
    ) -> [Float] {
        let count = PackedMatrix.tileRows * columns / FourBitWeights.kernelBlock
        guard case .q4Nested(_, let nesting) = matrix.format else {
            var scales = [Float](repeating: 0, count: count)
            matrix.unpackCodes(tile: tile, codes: indices, scales: &scales, on: compute)
            return scales
        }
        var codes = [UInt8](repeating: 0, count: count)
        matrix.unpackCodes(tile: tile, codes: indices, scales: &codes, on: compute)
        return codes.indices.map { block in
            let group = min((tile * count + block) >> nesting.groupShift, nesting.groupMaxima.count - 1)
            return nesting.map[Int(codes[block])] * nesting.groupMaxima[group] + nesting.offset
        }
    }
}
