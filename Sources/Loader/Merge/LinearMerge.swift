import DoraTensor
import Synchronization

/// The merge of one linear layer, for each output row o (arXiv 2402.09353; PEFT `lora/dora.py`):
///
///     W = V + s B A,   W'[o] = m[o] / ||W[o]|| * W[o]
///
/// with V the decoded base `[outputs, inputs]`, A `[rank, inputs]`, B `[outputs, rank]`, m `[outputs]` and the norm
/// along the inputs. Plain LoRA stops at W. All in F32, tile by tile, so the result depends neither on the threads nor
/// on the steps.
struct LinearMerge {
    let source: any WeightSource
    /// Nil stores V as it is.
    let update: LowRankUpdate?
    let format: MatrixFormat
    private var draft: PackedMatrix.Draft
    private var total = Tally()

    struct Result {
        let matrix: PackedMatrix
        /// What the format kept of W' - V: 1 is all of it, 0 nothing; nil without an update.
        let survival: Double?
        /// Rows of W that are all zero, which no magnitude can scale.
        let zeroRows: Int
    }

    /// Elements that a step merges, some milliseconds' work.
    private static let stepElements = 1 << 20

    init(
        source: any WeightSource, update: LowRankUpdate?, format: MatrixFormat, on compute: Compute
    ) throws(ComputeError) {
        self.source = source
        self.update = update
        self.format = format
        draft = try PackedMatrix.Draft(
            rows: source.rows, columns: source.columns, format: format, on: compute)
    }

    /// Merges the next tiles.
    /// - Returns: the matrix, when none is left.
    mutating func step(on compute: Compute) -> Result? {
        let count = Self.stepElements / max(1, PackedMatrix.tileRows * source.columns)
        let tallies = Mutex<[Int: Tally]>([:])
        var draft = draft
        let tiles = draft.fill(atMost: max(count, 4 * compute.threads), on: compute) { tile, builder in
            if let tally = fill(tile: tile, into: builder, on: compute) {
                tallies.withLock { $0[tile] = tally }
            }
            source.dropPages(behindTile: tile)
        }
        self.draft = draft
        // Added in the order of the tiles, whichever thread did them.
        tallies.withLock { tallies in
            for tile in tiles { if let tally = tallies[tile] { total.add(tally) } }
        }
        guard draft.isComplete else { return nil }
        source.dropPages(rows: 0..<source.rows)
        return Result(
            matrix: draft.matrix, survival: update == nil ? nil : total.survival, zeroRows: total.zeroRows)
    }

    private func fill(tile: Int, into builder: PackedMatrix.Builder, on compute: Compute) -> Tally? {
        if let update { return merge(update, tile: tile, into: builder, on: compute) }
        if format == source.nativeFormat {
            source.storeNative(tile: tile, in: builder, on: compute)
        } else {
            source.storeDecoded(tile: tile, in: builder, on: compute)
        }
        return nil
    }

    private func merge(
        _ update: LowRankUpdate, tile: Int, into builder: PackedMatrix.Builder, on compute: Compute
    ) -> Tally {
        let count = PackedMatrix.tileRows * source.columns
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * count) { memory in
            guard let before = memory.baseAddress else { return Tally() }
            let merged = before + count
            let stored = merged + count
            source.decodeTile(tile, into: before, on: compute)
            merged.update(from: before, count: count)
            add(update, tile: tile, to: merged)
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
    private func add(_ update: LowRankUpdate, tile: Int, to rows: UnsafeMutablePointer<Float>) {
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
