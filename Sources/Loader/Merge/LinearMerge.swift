import DoraTensor
import Synchronization

/// The merge of one linear layer, for each output row o (arXiv 2402.09353; PEFT `lora/dora.py`):
///
///     W = V + s B A,   W'[o] = m[o] / ||W[o]|| * W[o]
///
/// with V the decoded base `[outputs, inputs]`, A `[rank, inputs]`, B `[outputs, rank]`, m `[outputs]` and the norm
/// along the inputs. Plain LoRA stops at W. All in F32, tile by tile, so the result does not depend on the threads.
struct LinearMerge {
    let source: any WeightSource
    let update: LowRankUpdate
    let format: MatrixFormat

    struct Result {
        let matrix: PackedMatrix
        /// What the format kept of W' - V: 1 is all of it, 0 nothing.
        let survival: Double
        /// Rows of W that are all zero, which no magnitude can scale.
        let zeroRows: Int
    }

    func run(on compute: Compute) throws(ComputeError) -> Result {
        let tiles = source.rows.roundedUp(to: PackedMatrix.tileRows) / PackedMatrix.tileRows
        defer { source.dropPages(rows: 0..<source.rows) }
        let tallies = Mutex([Tally](repeating: Tally(), count: tiles))
        let matrix = try PackedMatrix.build(
            rows: source.rows, columns: source.columns, format: format, on: compute
        ) { tile, builder in
            let tally = merge(tile: tile, into: builder, on: compute)
            tallies.withLock { $0[tile] = tally }
            source.dropPages(behindTile: tile)
        }
        // Added in the order of the tiles, whichever thread did them.
        let total = tallies.withLock { $0.reduce(into: Tally()) { $0.add($1) } }
        return Result(matrix: matrix, survival: total.survival, zeroRows: total.zeroRows)
    }

    private func merge(tile: Int, into builder: PackedMatrix.Builder, on compute: Compute) -> Tally {
        let count = PackedMatrix.tileRows * source.columns
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * count) { memory in
            guard let before = memory.baseAddress else { return Tally() }
            let merged = before + count
            let stored = merged + count
            source.decodeTile(tile, into: before, on: compute)
            merged.update(from: before, count: count)
            addUpdate(tile: tile, to: merged)
            var tally = Tally()
            if let magnitude = update.magnitude {
                tally.zeroRows = rescale(tile: tile, merged, to: magnitude, on: compute)
            }
            builder.store(tile: tile, rows: merged)
            builder.unpack(tile: tile, into: stored)
            (tally.kept, tally.asked) = compute.survival(
                before: before, wanted: merged, stored: stored, count: count)
            return tally
        }
    }

    /// `rows += s B[tile] A`, always with sixteen rows: OpenBLAS's rounding depends on the shape.
    private func addUpdate(tile: Int, to rows: UnsafeMutablePointer<Float>) {
        let range = source.rowRange(ofTile: tile)
        var factor = Array(update.b[range.lowerBound * update.rank..<range.upperBound * update.rank])
        factor += [Float](repeating: 0, count: (PackedMatrix.tileRows - range.count) * update.rank)
        Compute.multiplyAdd(
            factor, update.a, into: rows, m: PackedMatrix.tileRows, n: source.columns, k: update.rank,
            alpha: update.scaling)
    }

    /// Scales every row to its magnitude; answers how many rows have no direction.
    private func rescale(
        tile: Int, _ rows: UnsafeMutablePointer<Float>, to magnitude: [Float], on compute: Compute
    ) -> Int {
        var zeroRows = 0
        for (offset, row) in source.rowRange(ofTile: tile).enumerated() {
            let values = rows + offset * source.columns
            let norm = Float(compute.sumOfSquares(values, count: source.columns).squareRoot())
            if norm == 0 { zeroRows += 1 }
            let scale = norm == 0 ? 0 : magnitude[row] / norm
            for column in 0..<source.columns { values[column] *= scale }
        }
        return zeroRows
    }

    private struct Tally {
        var kept = 0.0
        var asked = 0.0
        var zeroRows = 0

        var survival: Double { asked > 0 ? kept / asked : 1 }

        mutating func add(_ other: Tally) {
            kept += other.kept
            asked += other.asked
            zeroRows += other.zeroRows
        }
    }
}
