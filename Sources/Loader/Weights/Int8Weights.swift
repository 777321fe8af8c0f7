package import DoraTensor
package import DoraText

/// bitsandbytes LLM.int8: a row of int8 codes and the row's largest magnitude, `SCB`.
///
/// V = (q * SCB) * (1/127) in F32, in that order, where 1/127 is `MatrixFormat.q8RowUnit`. The split of outlier
/// activations at inference (threshold 6) is not imitated: codes meet all activations alike.
package struct Int8Weights: WeightSource {
    private enum Codes: Sendable {
        case stored(TensorView, rowMaxima: [Float])
        case computed(DenseWeights)
    }

    package let rows: Int
    package let columns: Int
    private let codes: Codes

    /// A checkpoint's codes: `weight` I8 `[rows, columns]`, `rowMaxima` (`SCB`) F32 `[rows]`.
    /// - Throws: `LoadError` `.mismatch` when they have other shapes or types.
    package init(weight: TensorView, rowMaxima: TensorView, rows: Int, columns: Int) throws(LoadError) {
        guard weight.elementType == .i8, weight.shape == [rows, columns] else {
            throw LoadError(
                .mismatch, file: weight.file, field: weight.name, expected: "I8 [\(rows), \(columns)]",
                found: "\(weight.elementType.rawValue) \(weight.shape)",
                advice: "check that config.json belongs to these weights")
        }
        guard rowMaxima.count == rows else {
            throw LoadError(
                .mismatch, file: rowMaxima.file, field: rowMaxima.name, expected: "\(rows) row scales",
                found: "\(rowMaxima.shape)", advice: "the checkpoint is damaged; download it again")
        }
        self.rows = rows
        self.columns = columns
        codes = .stored(weight, rowMaxima: try rowMaxima.floats())
    }

    /// The codes that bitsandbytes would compute from a 16- or 32-bit matrix when it is loaded in 8 bits: values are
    /// cast to F16, then q = rint(w * (127 / absmax)), half to even (`int8_vectorwise_quant`).
    package init(quantizing dense: DenseWeights) {
        rows = dense.rows
        columns = dense.columns
        codes = .computed(dense)
    }

    package var nativeFormat: MatrixFormat { .q8Row }

    package func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        withCodes(of: rows, on: compute) { codes, maxima in
            for row in 0..<rows.count {
                let start = row * columns
                compute.widen(
                    codes + start, count: columns, scale: maxima[maxima.startIndex + row],
                    unit: MatrixFormat.q8RowUnit, into: out + start)
            }
        }
    }

    package func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        let range = rowRange(ofTile: tile)
        var scales = [Float](repeating: 0, count: PackedMatrix.tileRows)
        let capacity = PackedMatrix.tileRows * columns
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { block in
            block.initialize(repeating: 0)
            withCodes(of: range, on: compute) { codes, maxima in
                scales.replaceSubrange(0..<range.count, with: maxima)
                UnsafeMutableRawBufferPointer(block).copyMemory(
                    from: UnsafeRawBufferPointer(start: codes, count: range.count * columns))
            }
            guard let start = block.baseAddress else { return }
            builder.store(tile: tile, codes: start, scales: scales)
        }
    }

    package func dropPages(rows: Range<Int>) {
        switch codes {
        case .stored(let weight, _):
            weight.dropPages(elements: rows.lowerBound * columns..<rows.upperBound * columns)
        case .computed(let dense): dense.dropPages(rows: rows)
        }
    }

    /// Calls `body` with the codes `[rows.count, columns]` and the rows' maxima.
    private func withCodes(
        of rows: Range<Int>, on compute: Compute, _ body: (UnsafePointer<Int8>, ArraySlice<Float>) -> Void
    ) {
        switch codes {
        case .stored(let weight, let rowMaxima):
            weight.withBytes { bytes in
                guard let start = bytes.baseAddress else { return }
                let codes = (start + rows.lowerBound * columns).assumingMemoryBound(to: Int8.self)
                body(codes, rowMaxima[rows])
            }
        case .computed(let dense):
            let (codes, maxima) = quantize(dense, rows: rows, on: compute)
            codes.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                body(start, maxima[...])
            }
        }
    }

    private func quantize(
        _ dense: DenseWeights, rows: Range<Int>, on compute: Compute
    ) -> (codes: [Int8], maxima: [Float]) {
        let count = rows.count * columns
        var codes = [Int8](repeating: 0, count: count)
        var maxima: [Float] = []
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { block in
            guard let values = block.baseAddress else { return }
            dense.decode(rows: rows, into: values, on: compute)
            compute.roundToHalf(values, count: count)
            for row in 0..<rows.count {
                let range = row * columns..<(row + 1) * columns
                let maximum = Magnitude.largest(values + range.lowerBound, count: columns)
                maxima.append(maximum)
                // torch divides a number by a tensor as reciprocal * number, which rounds twice.
                // A row of zeros has codes of zero; its reciprocal would make them NaN.
                let scale = maximum > 0 ? (1 / maximum) * 127 : 0
                for index in range {
                    codes[index] = Int8(exactly: (values[index] * scale).rounded(.toNearestOrEven)) ?? 0
                }
            }
        }
        return (codes, maxima)
    }
}
