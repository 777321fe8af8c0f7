package import DoraTensor

/// What an adapter does to the weight of one module. A method is a type of these, and may keep its numbers however it
/// likes until a merge asks for rows.
package protocol WeightUpdate: Sendable {
    /// For people, e.g. `DoRA rank 8`.
    var label: String { get }
    /// 0 for a method without ranks.
    var rank: Int { get }
    var scaling: Float { get }
    /// Whether rows are brought to magnitudes that the adapter holds.
    var hasMagnitude: Bool { get }
    /// Whether it is the identity whatever the base is, magnitudes aside: untrained, or lost in a save.
    var addsNothing: Bool { get }
    /// Bytes that its numbers take.
    var byteCount: Int { get }
    /// The update times a factor, as PEFT's `set_scale` has it; nil where PEFT scales none of the method.
    func scaled(by factor: Float) -> Self?
    /// The module's bias once it is adapted.
    func bias(_ bias: [Float]?) -> [Float]?
    /// The update as factors that can act beside a matrix; nil for a method that has none.
    var lowRank: LowRankUpdate? { get }
    /// What changes the rows of V `[rows, columns]`.
    func rows(columns: Int, on compute: Compute) -> any RowMerge
}

extension WeightUpdate {
    package var rank: Int { 0 }
    package var scaling: Float { 1 }
    package var hasMagnitude: Bool { false }
    package func scaled(by factor: Float) -> Self? { nil }
    package func bias(_ bias: [Float]?) -> [Float]? { bias }
    package var lowRank: LowRankUpdate? { nil }
}

/// Changes a matrix a tile of rows at a time, each row by itself and in F32: the same bits whichever thread asks, and
/// however many there are.
package protocol RowMerge: Sendable {
    /// - Parameters:
    ///   - tile: of the matrix; its rows beyond the matrix are zero and stay so.
    ///   - before: V's rows.
    ///   - rows: what they become, still to be multiplied by the factors.
    func change(
        tile: Int, of before: ExactTile, into rows: TileRows, on compute: Compute
    ) -> RowFactors
}

/// What the rows of a tile are multiplied by.
package struct RowFactors {
    /// `[16]`
    package var factors = [Float](repeating: 1, count: PackedMatrix.tileRows)
    /// Rows that have no direction, which no magnitude can scale.
    package var zeroRows = 0
    /// Whether a row's values are too large for its norm.
    package var isOverflow = false

    package init() {}
}

/// A tile of rows as packing takes it, `[columns, 16]`.
package struct TileRows {
    let start: UnsafeMutablePointer<Float>
    let columns: Int

    /// Memory for whole blocks, which packing fills up with zeros.
    init(columns: Int) {
        self.columns = columns
        start = .allocate(capacity: PackedMatrix.tileRows * columns.roundedUp(to: 64))
    }

    func deallocate() { start.deallocate() }

    /// Writes the elements as they lie.
    @inline(__always) func write(_ element: (_ row: Int, _ column: Int, _ index: Int) -> Float) {
        for column in 0..<columns {
            for row in 0..<PackedMatrix.tileRows {
                let index = Self.index(row: row, column: column)
                start[index] = element(row, column, index)
            }
        }
    }

    @inline(__always) static func index(row: Int, column: Int) -> Int {
        column * PackedMatrix.tileRows + row
    }

    /// The rows of the tile in the matrix.
    static func rows(of tile: Int) -> Range<Int> {
        tile * PackedMatrix.tileRows..<(tile + 1) * PackedMatrix.tileRows
    }
}
