import DoraTensor

/// A matrix with some rows replaced, as PEFT's `trainable_token_indices` does with tokens, or with more rows than it had
/// or fewer, as a resized vocabulary has.
struct ReplacedRows: WeightSource {
    let base: any WeightSource
    /// Row index to its place in `values`.
    private let places: [Int: Int]
    /// `[places.count, columns]`.
    private let values: [Float]

    let rows: Int

    /// - Parameter count: of rows. Those that the base does not have and nothing replaces are zero.
    init(base: any WeightSource, rows replaced: TokenRows?, count: Int) {
        self.base = base
        rows = count
        places = Dictionary((replaced?.indices ?? []).enumerated().map { ($1, $0) }) { _, last in last }
        values = replaced?.rows ?? []
    }

    var columns: Int { base.columns }
    var nativeFormat: MatrixFormat { base.nativeFormat.isQuantized ? .f32 : base.nativeFormat }

    func decode(rows: Range<Int>, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        let own = rows.clamped(to: 0..<base.rows)
        if !own.isEmpty { base.decode(rows: own, into: out, on: compute) }
        (out + own.count * columns).update(repeating: 0, count: (rows.count - own.count) * columns)
        for (offset, row) in rows.enumerated() {
            guard let place = places[row] else { continue }
            for column in 0..<columns { out[offset * columns + column] = values[place * columns + column] }
        }
    }

    func storeNative(tile: Int, in builder: PackedMatrix.Builder, on compute: Compute) {
        storeDecoded(tile: tile, in: builder, on: compute)
    }

    func dropPages(rows: Range<Int>) {
        let own = rows.clamped(to: 0..<base.rows)
        if !own.isEmpty { base.dropPages(rows: own) }
    }
}
