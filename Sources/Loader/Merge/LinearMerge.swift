import DoraTensor
import Synchronization

/// The merge of one linear layer: the rows of V, the decoded base `[outputs, inputs]`, as the update leaves them, in the
/// format that keeps them. All in F32, tile by tile, so the result depends neither on the threads nor on the steps.
struct LinearMerge {
    let source: any WeightSource
    /// What becomes of V's rows; nil stores V as it is.
    private let update: (any RowMerge)?
    /// The base's matrix in memory, where V can be had from it: the files then need not be read again.
    private let stored: ExactMatrix?
    private let hasMagnitude: Bool
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
        /// What the others were scaled by.
        let ratios: MagnitudeRatios
    }

    /// Elements that a step merges, some milliseconds' work.
    private static let stepElements = 1 << 20

    /// - Parameters:
    ///   - matrix: of the source's weights, in memory.
    ///   - formats: what to store the matrix in: the first that keeps the update, else the last.
    /// - Precondition: there is one.
    init(
        source: any WeightSource, matrix: PackedMatrix?, update: (any WeightUpdate)?, formats: [MatrixFormat],
        on compute: Compute
    ) throws(ComputeError) {
        self.source = source
        stored = source.exact(in: matrix)
        self.formats = formats
        self.update = update?.rows(columns: source.columns, on: compute)
        hasMagnitude = update?.hasMagnitude == true
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
            if stored == nil { source.dropPages(behindTile: tile) }
        }
        self.draft = draft
        // Added in the order of the tiles, whichever thread did them.
        tallies.withLock { tallies in
            for tile in tiles { if let tally = tallies[tile] { total.add(tally) } }
        }
        guard draft.isComplete else { return nil }
        if stored == nil { source.dropPages(rows: 0..<source.rows) }
        if update != nil, formats.count > 1, !isKept {
            tooCoarse.append(MergeReport.Trial(format: formats.removeFirst().name, change: total.change))
            total = Tally()
            self.draft = try PackedMatrix.Draft(
                rows: source.rows, columns: source.columns, format: formats[0], on: compute)
            return nil
        }
        return Result(
            matrix: draft.matrix, change: update == nil ? nil : total.change,
            tooCoarse: tooCoarse, zeroRows: total.zeroRows, ratios: total.ratios)
    }

    private var isKept: Bool {
        !total.change.isChange || total.change.isFaithful && (format != .f16 || total.change.fitsHalf)
    }

    private func fill(tile: Int, into builder: PackedMatrix.Builder, on compute: Compute) -> Tally? {
        if let update { return merge(update, tile: tile, into: builder, on: compute) }
        source.storeDecoded(tile: tile, in: builder, on: compute)
        return nil
    }

    private func merge(
        _ update: any RowMerge, tile: Int, into builder: PackedMatrix.Builder, on compute: Compute
    ) -> Tally {
        let rows = TileRows(columns: source.columns)
        defer { rows.deallocate() }
        return source.withTile(tile, in: stored, on: compute) { before in
            let scales = update.change(tile: tile, of: before, into: rows, on: compute)
            var tally = Tally(zeroRows: scales.zeroRows)
            if hasMagnitude { tally.factors = scales.factors.prefix(source.rowRange(ofTile: tile).count) }
            tally.change = builder.store(
                tile: tile, rows: rows.start, factors: scales.factors, changedFrom: before)
            return tally
        }
    }

    private struct Tally {
        var change = StoredChange.none
        var zeroRows = 0
        /// Of a single tile.
        var factors: ArraySlice<Float> = []
        var ratios = MagnitudeRatios()

        mutating func add(_ other: Tally) {
            change += other.change
            zeroRows += other.zeroRows
            ratios.add(other.factors)
        }
    }
}
