import DoraTensor

/// What an update adds beside one linear layer: its factors, and for DoRA the scales m / ||V + s B A|| of the outputs, tile
/// by tile.
///
/// Each row of V + s B A is computed for its norm and not kept. That takes as many multiplications as V A^T would for the
/// norm's expansion ||V||^2 + 2 s B (V A^T)^T + s^2 B (A A^T) B^T, and nothing cancels. V is decoded from the base's matrix
/// in memory on the way, where that stands for exactly V, and else read from where it comes from.
struct LinearFactoring {
    private let source: any WeightSource
    private let stored: ExactMatrix?
    private let update: LowRankUpdate
    private let rows: LowRankRows?
    private let isHalf: Bool
    private let isFinite: Bool
    private var scales: [Float] = []
    private var tile = 0
    private var zeroRows = 0

    struct Result {
        /// Nil if the update asks for nothing.
        let part: LowRankPart?
        let zeroRows: Int
        let ratios: MagnitudeRatios
        /// Whether it holds numbers that are none, or norms that overflow.
        let isBroken: Bool
    }

    /// Elements of V that a step decodes, some milliseconds' work.
    private static let stepElements = 1 << 21

    /// - Parameters:
    ///   - matrix: of the base, which the update is to act beside.
    ///   - isHalf: whether the factors are rounded to 16 bits.
    init(source: any WeightSource, matrix: PackedMatrix?, update: LowRankUpdate, isHalf: Bool) {
        self.source = source
        stored = source.exact(in: matrix)
        self.update = update
        self.isHalf = isHalf
        isFinite = update.isFinite
        rows = update.hasMagnitude ? update.lowRankRows(columns: source.columns) : nil
        if update.hasMagnitude { scales = [Float](repeating: 1, count: source.rows) }
    }

    static func byteCount(of update: LowRankUpdate, rows: Int, columns: Int, isHalf: Bool) -> Int {
        guard update.hasProduct || update.hasMagnitude else { return 0 }
        return LowRankPart.byteCount(
            rows: rows, columns: columns, rank: update.hasProduct ? update.rank : 0, isHalf: isHalf,
            hasScales: update.hasMagnitude)
    }

    /// Norms the next tiles.
    /// - Returns: the part, when none is left.
    mutating func step(on compute: Compute) throws(ComputeError) -> Result? {
        let tileCount = source.rows.roundedUp(to: PackedMatrix.tileRows) / PackedMatrix.tileRows
        var isBroken = !isFinite
        if let rows, !isBroken {
            let count = max(
                Self.stepElements / max(1, PackedMatrix.tileRows * source.columns), 4 * compute.threads)
            let tiles = tile..<min(tile + count, tileCount)
            let found = factors(of: tiles, by: rows, on: compute)
            isBroken = found.contains { $0.isOverflow }
            zeroRows += found.reduce(0) { $0 + $1.zeroRows }
            for (tile, factors) in zip(tiles, found) {
                let range = source.rowRange(ofTile: tile)
                scales.replaceSubrange(range, with: factors.factors.prefix(range.count))
            }
            tile = tiles.upperBound
            if tile < tileCount && !isBroken { return nil }
            if stored == nil { source.dropPages(rows: 0..<source.rows) }
        }
        var ratios = MagnitudeRatios()
        if rows != nil { ratios.add(scales) }
        return Result(
            part: isBroken ? nil : try part(on: compute), zeroRows: zeroRows, ratios: ratios,
            isBroken: isBroken)
    }

    private func factors(of tiles: Range<Int>, by rows: LowRankRows, on compute: Compute) -> [RowFactors] {
        var found = [RowFactors](repeating: RowFactors(), count: tiles.count)
        found.withUnsafeMutableBufferPointer { found in
            compute.parallel(tiles.count) { index in
                let tile = tiles.lowerBound + index
                found[index] = source.withTile(tile, in: stored, on: compute) {
                    rows.factors(ofTile: tile, of: $0, on: compute)
                }
                if stored == nil { source.dropPages(behindTile: tile) }
            }
        }
        return found
    }

    private func part(on compute: Compute) throws(ComputeError) -> LowRankPart? {
        guard update.hasProduct || update.hasMagnitude else { return nil }
        let hasProduct = update.hasProduct
        return try LowRankPart(
            a: hasProduct ? update.a : [], b: hasProduct ? update.b : [], rank: hasProduct ? update.rank : 0,
            rows: source.rows, columns: source.columns, scaling: update.scaling,
            scales: update.hasMagnitude ? scales : nil, isHalf: isHalf, on: compute)
    }
}

extension LowRankUpdate {
    /// Whether s B A is anything.
    fileprivate var hasProduct: Bool {
        rank > 0 && scaling != 0 && a.contains { $0 != 0 } && b.contains { $0 != 0 }
    }

    fileprivate var isFinite: Bool {
        scaling.isFinite && a.isFinite && b.isFinite && (magnitude ?? []).isFinite
    }
}

extension [Float] {
    /// Whether all are. By the largest of their bits, which vector instructions find.
    fileprivate var isFinite: Bool {
        withUnsafeBufferPointer { $0.reduce(0) { Swift.max($0, $1.magnitude.bitPattern) } }
            < Float.infinity.bitPattern
    }
}
