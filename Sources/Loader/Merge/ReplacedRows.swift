import DoraTensor

/// A matrix with some rows replaced, as PEFT's `trainable_token_indices` does with tokens.
struct ReplacedRows: WeightSource {
    let base: any WeightSource
    /// Row index to its place in `values`.
    private let places: [Int: Int]
    /// `[places.count, columns]`.
    private let values: [Float]

    init(base: any WeightSource, rows: TokenRows) {
        self.base = base
        places = Dictionary(rows.indices.enumerated().map { ($1, $0) }) { _, last in last }
        values = rows.rows
    }

    var rows: Int { base.rows }
    var columns: Int { base.columns }
    var nativeFormat: MatrixFormat { base.nativeFormat.isQuantized ? .f32 : base.nativeFormat }

    func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        base.decode(rows: rows, into: out, on: compute)
        for (offset, row) in rows.enumerated() {
            guard let place = places[row] else { continue }
            for column in 0..<columns { out[offset * columns + column] = values[place * columns + column] }
        }
    }

    func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    func dropPages(rows: Range<Int>) { base.dropPages(rows: rows) }
}
