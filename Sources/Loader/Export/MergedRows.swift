package import DoraTensor
package import DoraText

/// One tensor of a `MergedModel`, read from its first row to its last.
package struct MergedRows {
    /// V, or what the adapter has in its place.
    private let source: any WeightSource
    /// What becomes of its rows; nil leaves them.
    private let update: (any RowMerge)?
    private let hasMagnitude: Bool
    /// Of the tensor and of the file to blame, for messages.
    private let name: String
    private let file: String
    /// Rows read so far that are all zero, which no magnitude can scale; of an embedding, columns.
    package private(set) var zeroRows: Int
    /// What the others are scaled by.
    package private(set) var ratios: MagnitudeRatios

    package var rows: Int { source.rows }
    package var columns: Int { source.columns }

    init(
        source: any WeightSource, update: (any RowMerge)? = nil, hasMagnitude: Bool = false, name: String,
        file: String, zeroRows: Int = 0, ratios: MagnitudeRatios = MagnitudeRatios()
    ) {
        self.source = source
        self.update = update
        self.hasMagnitude = hasMagnitude
        self.name = name
        self.file = file
        self.zeroRows = zeroRows
        self.ratios = ratios
    }

    /// Elements that are read at a time: 32 MB of them.
    private static let stretchElements = 1 << 23

    /// Rows that are worth reading at a time, whole tiles.
    package static func stretch(columns: Int) -> Int {
        max(1, stretchElements / max(1, PackedMatrix.tileRows * columns)) * PackedMatrix.tileRows
    }

    /// The values of `rows`, in F32, on all threads: the same bits however many there are.
    /// - Parameter out: `[rows.count, columns]`.
    /// - Precondition: the rows are the tensor's, and begin with a tile; they end with one or with the tensor.
    /// - Throws: `LoadError` `.malformed` where norms overflow.
    package mutating func read(
        rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute
    ) throws(LoadError) {
        let tiles =
            rows.lowerBound / PackedMatrix.tileRows..<rows.upperBound.roundedUp(to: PackedMatrix.tileRows)
            / PackedMatrix.tileRows
        var found = [RowFactors](repeating: RowFactors(), count: update == nil ? 0 : tiles.count)
        found.withUnsafeMutableBufferPointer { found in
            compute.parallel(tiles.count) { index in
                let tile = tiles.lowerBound + index
                let range = source.rowRange(ofTile: tile)
                let target = out + (range.lowerBound - rows.lowerBound) * columns
                if let update {
                    found[index] = change(tile, by: update, into: target, on: compute)
                } else {
                    source.decode(rows: range, into: target, on: compute)
                }
            }
        }
        source.dropPages(rows: rows)
        for (tile, factors) in zip(tiles, found) {
            if factors.isOverflow { throw .overflow(name, file: file) }
            zeroRows += factors.zeroRows
            if hasMagnitude { ratios.add(factors.factors.prefix(source.rowRange(ofTile: tile).count)) }
        }
    }

    private func change(
        _ tile: Int, by update: any RowMerge, into out: UnsafeMutablePointer<Float>, on compute: Compute
    ) -> RowFactors {
        let changed = TileRows(columns: columns)
        defer { changed.deallocate() }
        let factors = source.withTile(tile, in: nil, on: compute) {
            update.change(tile: tile, of: $0, into: changed, on: compute)
        }
        for row in 0..<source.rowRange(ofTile: tile).count {
            for column in 0..<columns {
                out[row * columns + column] =
                    changed.start[TileRows.index(row: row, column: column)] * factors.factors[row]
            }
        }
        return factors
    }
}

extension LoadError {
    /// A merge that leaves no numbers.
    static func overflow(_ field: String, file: String) -> LoadError {
        LoadError(
            .malformed, file: file, field: field,
            "merging it overflows: the adapter's values are too large, or the base's are not finite",
            advice: "the training diverged or the file is damaged; use another checkpoint of the adapter")
    }
}
