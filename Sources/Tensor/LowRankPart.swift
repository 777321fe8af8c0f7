import CKernels

/// What an adapter adds beside a matrix that it shares with others: y = g ⊙ (V x + s B (A x)), with A `[rank, columns]`,
/// B `[rows, rank]` and g `[rows]`. Immutable once it is built.
///
/// In 16 bits each row of A and each column of B is multiplied by a power of two, which brings its largest number near a
/// half's, so that none is too small or too large for one; the products are divided by it.
///
/// `@unchecked Sendable`: memory is written only by `init`.
package final class LowRankPart: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    /// 0 where only g acts.
    package let rank: Int
    package let isHalf: Bool
    private let memory: AlignedMemory
    let view: dk_low_rank

    package var byteCount: Int { memory.byteCount }
    /// g, if it has one.
    package var scales: [Float]? {
        view.scales.map { Array(UnsafeBufferPointer(start: $0, count: rows)) }
    }

    /// What `memory` holds, one behind the other.
    private struct Layout {
        let b: Int, units: Int, scales: Int, byteCount: Int

        init(rows: Int, columns: Int, rank: Int, isHalf: Bool, hasScales: Bool) {
            let size = isHalf ? 2 : 4
            func behind(_ start: Int, _ bytes: Int) -> Int { (start + bytes).roundedUp(to: 64) }
            b = behind(0, rank * columns.roundedUp(to: LowRankPart.lanes) * size)
            units = behind(b, rank * rows.roundedUp(to: DK_ROWS) * size)
            scales = behind(units, rank * 4)
            byteCount = scales + (hasScales ? rows * 4 : 0)
        }
    }

    fileprivate static let lanes = 16

    package static func byteCount(rows: Int, columns: Int, rank: Int, isHalf: Bool, hasScales: Bool) -> Int {
        Layout(rows: rows, columns: columns, rank: rank, isHalf: isHalf, hasScales: hasScales).byteCount
    }

    /// - Parameters:
    ///   - a: `[rank, columns]`
    ///   - b: `[rows, rank]`
    ///   - scaling: s
    ///   - scales: g `[rows]`; nil for ones.
    ///   - isHalf: whether A and B are rounded to 16 bits.
    package init(
        a: [Float], b: [Float], rank: Int, rows: Int, columns: Int, scaling: Float, scales: [Float]?,
        isHalf: Bool, on compute: Compute
    ) throws(ComputeError) {
        precondition(a.count == rank * columns && b.count == rows * rank)
        precondition(scales.map { $0.count == rows } ?? true)
        (self.rows, self.columns, self.rank, self.isHalf) = (rows, columns, rank, isHalf)
        let layout = Layout(
            rows: rows, columns: columns, rank: rank, isHalf: isHalf, hasScales: scales != nil)
        memory = try compute.heap.allocate(byteCount: layout.byteCount)
        let start = memory.pointer
        let units = (start + layout.units).assumingMemoryBound(to: Float.self)
        var view = dk_low_rank()
        view.half = isHalf
        view.rank = Int64(rank)
        view.a = UnsafeRawPointer(start)
        view.b = UnsafeRawPointer(start + layout.b)
        view.units = UnsafePointer(units)
        if let scales {
            let copy = (start + layout.scales).assumingMemoryBound(to: Float.self)
            copy.update(from: scales, count: rows)
            view.scales = UnsafePointer(copy)
        }
        self.view = view
        let writer = FactorWriter(isHalf: isHalf, kernels: compute.kernels)
        let ofA = (0..<rank).map { row in
            writer.shift((0..<columns).lazy.map { a[row * columns + $0] })
        }
        let ofB = (0..<rank).map { column in
            writer.shift((0..<rows).lazy.map { b[$0 * rank + column] })
        }
        for index in 0..<rank {
            units[index] = Float(
                Double(scaling) * Double(sign: .plus, exponent: -ofA[index] - ofB[index], significand: 1))
        }
        let chunks = columns.roundedUp(to: Self.lanes) / Self.lanes
        let (blocks, tiles) = (rank.roundedUp(to: DK_RANKS) / DK_RANKS, rows.roundedUp(to: DK_ROWS) / DK_ROWS)
        compute.parallel(blocks) { block in
            let first = block * DK_RANKS
            let ranks = min(DK_RANKS, rank - first)
            for chunk in 0..<chunks {
                for offset in 0..<ranks {
                    let row = first + offset, column = chunk * Self.lanes
                    writer.write(
                        to: start, at: (first * chunks + chunk * ranks + offset) * Self.lanes,
                        count: min(Self.lanes, columns - column), shift: ofA[row]
                    ) { a[row * columns + column + $0] }
                }
            }
        }
        compute.parallel(tiles) { tile in
            for column in 0..<rank {
                let row = tile * DK_ROWS
                writer.write(
                    to: start + layout.b, at: (tile * rank + column) * DK_ROWS,
                    count: min(DK_ROWS, rows - row), shift: ofB[column]
                ) { b[(row + $0) * rank + column] }
            }
        }
    }
}

/// Stores factors, sixteen at a time.
private struct FactorWriter {
    let isHalf: Bool
    // Unsafe only in the eyes of the compiler: the table is constant.
    nonisolated(unsafe) let kernels: UnsafePointer<dk_kernels>

    /// The power of two that brings the largest of the values near 2^14.
    func shift(_ values: some Sequence<Float>) -> Int {
        guard isHalf else { return 0 }
        let largest = values.reduce(Float(0)) { max($0, abs($1)) }
        guard largest > 0, largest.isFinite else { return 0 }
        return min(14 - Int(largest.exponent), 126)
    }

    /// - Parameter index: of the first in the array at `start`, of which there are sixteen; beyond `count` they are zero.
    func write(
        to start: UnsafeMutableRawPointer, at index: Int, count: Int, shift: Int, _ value: (Int) -> Float
    ) {
        let factor = Float(sign: .plus, exponent: shift, significand: 1)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: LowRankPart.lanes) { floats in
            guard let floats = floats.baseAddress else { return }
            for offset in 0..<LowRankPart.lanes {
                floats[offset] = offset < count ? value(offset) * factor : 0
            }
            if isHalf {
                kernels.pointee.halve(
                    floats, Int64(LowRankPart.lanes), start.assumingMemoryBound(to: UInt16.self) + index)
            } else {
                (start.assumingMemoryBound(to: Float.self) + index).update(
                    from: floats, count: LowRankPart.lanes)
            }
        }
    }
}
