package import DoraTensor

/// What LoRA and DoRA add to one module: s B A, and for DoRA the norms to which the sum is scaled, for each output row o
/// (arXiv 2402.09353; PEFT `lora/dora.py`):
///
///     W = V + s B A,   W'[o] = m[o] / ||W[o]|| * W[o]
package struct LowRankUpdate: WeightUpdate, Equatable {
    /// 0 where only the magnitudes are trained.
    package let rank: Int
    /// s: alpha / rank, or alpha / √rank, of this module.
    package let scaling: Float
    /// `[rank, inputs]`; `[rank, vocabulary]` of an embedding.
    package let a: [Float]
    /// `[outputs, rank]`; `[hidden, rank]` of an embedding.
    package let b: [Float]
    /// DoRA's magnitudes: `[outputs]`, one a row; of an embedding `[hidden]`, one a column of its weight.
    package let magnitude: [Float]?
    /// `[outputs]`: added to the output times `scaling`.
    package let outputBias: [Float]?

    package var label: String {
        guard rank > 0 else { return "magnitudes" }
        return "\(magnitude == nil ? "LoRA" : "DoRA") rank \(rank)"
    }

    package var hasMagnitude: Bool { magnitude != nil }

    package var addsNothing: Bool {
        (scaling == 0 || a.allSatisfy { $0 == 0 } || b.allSatisfy { $0 == 0 })
            && (outputBias ?? []).allSatisfy { $0 == 0 }
    }

    package var byteCount: Int {
        (a.count + b.count + (magnitude?.count ?? 0) + (outputBias?.count ?? 0)) * MemoryLayout<Float>.size
    }

    /// The magnitudes stay: PEFT norms V + c s B A.
    package func scaled(by factor: Float) -> LowRankUpdate? {
        LowRankUpdate(
            rank: rank, scaling: scaling * factor, a: a, b: b, magnitude: magnitude, outputBias: outputBias)
    }

    package func bias(_ bias: [Float]?) -> [Float]? {
        guard let added = outputBias else { return bias }
        return zip(bias ?? [Float](repeating: 0, count: added.count), added).map { $0 + scaling * $1 }
    }

    package var lowRank: LowRankUpdate? { self }

    package func rows(columns: Int, on compute: Compute) -> any RowMerge { lowRankRows(columns: columns) }

    func lowRankRows(columns: Int) -> LowRankRows {
        let isEmpty = rank == 0
        return LowRankRows(
            product: LowRankProduct(
                b: isEmpty ? [Float](repeating: 0, count: magnitude?.count ?? 0) : b,
                a: isEmpty ? [Float](repeating: 0, count: columns) : a,
                rank: max(1, rank), columns: columns, scaling: scaling),
            magnitude: magnitude)
    }
}

/// V + s B A, each row times m / ||row|| where there is an m.
struct LowRankRows: RowMerge {
    let product: LowRankProduct
    let magnitude: [Float]?

    func change(
        tile: Int, of before: ExactTile, into rows: TileRows, on compute: Compute
    ) -> RowFactors {
        factors(ofTile: tile, of: before, writing: rows.start, on: compute)
    }

    /// m / ||row||, where there is an m, of rows that need not be written.
    func factors(
        ofTile tile: Int, of before: ExactTile, writing out: UnsafeMutablePointer<Float>? = nil,
        on compute: Compute
    ) -> RowFactors {
        let rows = TileRows.rows(of: tile)
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: rows.count) { squares in
            squares.initialize(repeating: 0)
            if let start = squares.baseAddress {
                product.add(tile: tile, to: before, into: out, squares: start, on: compute)
            }
            var result = RowFactors()
            result.isOverflow = squares.contains { !$0.isFinite }
            guard let magnitude else { return result }
            for (offset, row) in rows.enumerated() where row < magnitude.count {
                let norm = Float(squares[offset].squareRoot())
                if norm == 0 { result.zeroRows += 1 }
                result.factors[offset] = norm == 0 ? 0 : magnitude[row] / norm
            }
            return result
        }
    }
}
