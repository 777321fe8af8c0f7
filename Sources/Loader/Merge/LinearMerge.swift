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
    /// s B A; nil stores V as it is.
    private let product: LowRankProduct?
    /// m; nil for plain LoRA.
    private let magnitude: [Float]?
    /// The format that is tried, and those for when it keeps too little of the update.
    private var formats: [MatrixFormat]
    private var tooCoarse: [MergeReport.Trial] = []
    private var draft: PackedMatrix.Draft
    private var total = Tally()

    struct Result {
        let matrix: PackedMatrix
        /// What the format kept of W' - V; nil without an update.
        let change: StoredChange?
        /// The formats that would have kept too little, in the order of the trials.
        let tooCoarse: [MergeReport.Trial]
        /// Rows of W that are all zero, which no magnitude can scale.
        let zeroRows: Int
    }

    /// Elements that a step merges, some milliseconds' work.
    private static let stepElements = 1 << 20

    /// - Parameter formats: what to store the matrix in: the first that keeps the update, else the last.
    /// - Precondition: there is one.
    init(
        source: any WeightSource, update: LowRankUpdate?, formats: [MatrixFormat], on compute: Compute
    ) throws(ComputeError) {
        self.source = source
        self.formats = formats
        magnitude = update?.magnitude
        product = update.map {
            LowRankProduct(
                b: $0.b, a: $0.a, rank: $0.rank, columns: source.columns, scaling: $0.scaling)
        }
        draft = try PackedMatrix.Draft(
            rows: source.rows, columns: source.columns, format: formats[0], on: compute)
    }

    private var format: MatrixFormat { draft.matrix.format }

    /// Merges the next tiles.
    /// - Returns: the matrix, when none is left.
    mutating func step(on compute: Compute) throws(ComputeError) -> Result? {
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
        if product != nil, formats.count > 1, !isKept {
            tooCoarse.append(MergeReport.Trial(format: formats.removeFirst().name, change: total.change))
            total = Tally()
            self.draft = try PackedMatrix.Draft(
                rows: source.rows, columns: source.columns, format: formats[0], on: compute)
            return nil
        }
        return Result(
            matrix: draft.matrix, change: product == nil ? nil : total.change,
            tooCoarse: tooCoarse, zeroRows: total.zeroRows)
    }

    private var isKept: Bool {
        !total.change.isChange || total.change.isFaithful && (format != .f16 || total.change.fitsHalf)
    }

    private func fill(tile: Int, into builder: PackedMatrix.Builder, on compute: Compute) -> Tally? {
        if let product { return merge(product, tile: tile, into: builder, on: compute) }
        if format == source.nativeFormat {
            source.storeNative(tile: tile, in: builder, on: compute)
        } else {
            source.storeDecoded(tile: tile, in: builder, on: compute)
        }
        return nil
    }

    private func merge(
        _ product: LowRankProduct, tile: Int, into builder: PackedMatrix.Builder, on compute: Compute
    ) -> Tally {
        let rows = tile * PackedMatrix.tileRows..<(tile + 1) * PackedMatrix.tileRows
        let count = rows.count * source.columns
        let blockedCount = product.blockedCount(rows: rows.count)
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: count + blockedCount) { memory in
            guard let before = memory.baseAddress else { return Tally() }
            let merged = before + count
            source.decodeTile(tile, into: before, on: compute)
            var squares = [Double](repeating: 0, count: rows.count)
            product.add(rows: rows, to: before, into: merged, squares: &squares, on: compute)
            var tally = Tally()
            let factors = factors(
                rows: source.rowRange(ofTile: tile), squares: squares, zeroRows: &tally.zeroRows)
            tally.change = builder.store(tile: tile, blocks: merged, factors: factors, before: before)
            return tally
        }
    }

    /// What brings the rows of a tile to their magnitudes; counts those that have no direction.
    private func factors(rows: Range<Int>, squares: [Double], zeroRows: inout Int) -> [Float] {
        var factors = [Float](repeating: 1, count: PackedMatrix.tileRows)
        guard let magnitude else { return factors }
        for (offset, row) in rows.enumerated() {
            let norm = Float(squares[offset].squareRoot())
            if norm == 0 { zeroRows += 1 }
            factors[offset] = norm == 0 ? 0 : magnitude[row] / norm
        }
        return factors
    }

    private struct Tally {
        var change = StoredChange.none
        var zeroRows = 0

        mutating func add(_ other: Tally) {
            change += other.change
            zeroRows += other.zeroRows
        }
    }
}
