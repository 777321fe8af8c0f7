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
        let writer = FactorWriter(isHalf: isHalf, kernels: compute.kernels, start: start)
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                let ofA = (0..<rank).map { writer.shift(Self.largest(a[$0 * columns..<($0 + 1) * columns])) }
                let ofB = Self.largest(b, stride: rank).map(writer.shift)
                for index in 0..<rank {
                    units[index] = Float(
                        Double(scaling)
                            * Double(sign: .plus, exponent: -ofA[index] - ofB[index], significand: 1))
                }
                Self.store(a, rank: rank, columns: columns, shifts: ofA, by: writer, on: compute)
                Self.store(
                    b, rank: rank, rows: rows, shifts: ofB, at: layout.b, by: writer, on: compute)
            }
        }
    }

    /// A, `[ranks / 8 rounded up, columns / 16 rounded up, 8, 16]`, the last block of ranks narrower.
    private static func store(
        _ a: UnsafeBufferPointer<Float>, rank: Int, columns: Int, shifts: [Int], by writer: FactorWriter,
        on compute: Compute
    ) {
        let chunks = columns.roundedUp(to: lanes) / lanes
        // Chunks of a task.
        let stretch = 32
        let stretches = chunks.roundedUp(to: stretch) / stretch
        compute.parallel(rank.roundedUp(to: DK_RANKS) / DK_RANKS * stretches) { task in
            let first = task / stretches * DK_RANKS
            let ranks = min(DK_RANKS, rank - first)
            let firstChunk = task % stretches * stretch
            for chunk in firstChunk..<min(firstChunk + stretch, chunks) {
                let column = chunk * lanes
                writer.write(count: ranks * lanes, at: (first * chunks + chunk * ranks) * lanes) { floats in
                    for offset in 0..<ranks {
                        let row = first + offset
                        let factor = writer.factor(shifts[row])
                        for lane in 0..<min(lanes, columns - column) {
                            floats[offset * lanes + lane] = a[row * columns + column + lane] * factor
                        }
                    }
                }
            }
        }
    }

    /// B, `[rows / 16 rounded up, ranks, 16]`.
    private static func store(
        _ b: UnsafeBufferPointer<Float>, rank: Int, rows: Int, shifts: [Int], at offset: Int,
        by writer: FactorWriter, on compute: Compute
    ) {
        let factors = shifts.map(writer.factor)
        compute.parallel(rank == 0 ? 0 : rows.roundedUp(to: DK_ROWS) / DK_ROWS) { tile in
            let first = tile * DK_ROWS
            writer.write(count: rank * DK_ROWS, at: tile * rank * DK_ROWS, behind: offset) { floats in
                for row in 0..<min(DK_ROWS, rows - first) {
                    for column in 0..<rank {
                        floats[column * DK_ROWS + row] = b[(first + row) * rank + column] * factors[column]
                    }
                }
            }
        }
    }

    /// The largest magnitude. Compared as integers, which vector instructions do in any order.
    private static func largest(_ values: Slice<UnsafeBufferPointer<Float>>) -> Float {
        Float(bitPattern: values.reduce(0) { max($0, $1.magnitude.bitPattern) })
    }

    /// The largest magnitude of each column of `[rows, stride]`.
    private static func largest(_ values: UnsafeBufferPointer<Float>, stride: Int) -> [Float] {
        var bits = [UInt32](repeating: 0, count: stride)
        bits.withUnsafeMutableBufferPointer { bits in
            for row in Swift.stride(from: 0, to: values.count, by: max(1, stride)) {
                for column in 0..<stride {
                    bits[column] = max(bits[column], values[row + column].magnitude.bitPattern)
                }
            }
        }
        return bits.map { Float(bitPattern: $0) }
    }
}

/// Stores factors as they are or in 16 bits.
private struct FactorWriter {
    let isHalf: Bool
    // Unsafe only in the eyes of the compiler: the table is constant.
    nonisolated(unsafe) let kernels: UnsafePointer<dk_kernels>
    // And tasks write to parts of the memory that do not overlap.
    nonisolated(unsafe) let start: UnsafeMutableRawPointer

    /// The power of two that brings the largest of some values near 2^14.
    func shift(_ largest: Float) -> Int {
        guard isHalf, largest > 0, largest.isFinite else { return 0 }
        return min(14 - Int(largest.exponent), 126)
    }

    func factor(_ shift: Int) -> Float { Float(sign: .plus, exponent: shift, significand: 1) }

    /// - Parameters:
    ///   - index: of the first in the array that begins at byte `offset`.
    ///   - fill: writes what is not zero.
    func write(
        count: Int, at index: Int, behind offset: Int = 0, _ fill: (UnsafeMutablePointer<Float>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { floats in
            floats.initialize(repeating: 0)
            guard let floats = floats.baseAddress else { return }
            fill(floats)
            let target = start + offset
            if isHalf {
                kernels.pointee.halve(
                    floats, Int64(count), target.assumingMemoryBound(to: UInt16.self) + index)
            } else {
                (target.assumingMemoryBound(to: Float.self) + index).update(from: floats, count: count)
            }
        }
    }
}
