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
    ///   - rows: a tile's; those beyond the matrix are zero in `before` and stay so.
    ///   - before: V's rows, `[16, columns]`.
    ///   - blocks: the changed rows in `BlockedRows`'s order, still to be multiplied by the factors.
    func change(
        rows: Range<Int>, of before: UnsafePointer<Float>, into blocks: UnsafeMutablePointer<Float>,
        on compute: Compute
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

/// A tile of rows as packing takes it, `[columns / 64 rounded up, 16, 64]`, padded with zeros.
struct BlockedRows {
    let start: UnsafeMutablePointer<Float>
    let columns: Int

    private static let block = 64

    static func count(columns: Int) -> Int { PackedMatrix.tileRows * columns.roundedUp(to: block) }

    /// Writes a row of the tile, element by element.
    @inline(__always) func write(row: Int, _ element: (_ column: Int) -> Float) {
        for first in stride(from: 0, to: columns, by: Self.block) {
            let target = start + first * PackedMatrix.tileRows + row * Self.block
            let count = min(Self.block, columns - first)
            for offset in 0..<count { target[offset] = element(first + offset) }
            for offset in count..<Self.block { target[offset] = 0 }
        }
    }

    /// Replaces each element of a row.
    @inline(__always) func update(row: Int, _ element: (_ column: Int, _ old: Float) -> Float) {
        for first in stride(from: 0, to: columns, by: Self.block) {
            let target = start + first * PackedMatrix.tileRows + row * Self.block
            for offset in 0..<min(Self.block, columns - first) {
                target[offset] = element(first + offset, target[offset])
            }
        }
    }

    /// Where a column of a row lies, for another array in the same order.
    @inline(__always) static func index(row: Int, column: Int) -> Int {
        column / block * block * PackedMatrix.tileRows + row * block + column % block
    }
}
