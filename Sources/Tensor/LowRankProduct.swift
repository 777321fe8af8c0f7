import CKernels

/// `scaling * b a`, b `[rows, rank]`, a `[rank, columns]`: what an adapter adds to a matrix. In F32, each sum over the
/// ranks in ascending order, whatever rows are asked for.
package struct LowRankProduct: Sendable {
    package let columns: Int
    private let rank: Int
    private let scaling: Float
    /// Padded with rows of zeros to whole tiles.
    private let b: [Float]
    /// `[columns / 64, rank, 64]`, the last block padded with zeros: a block stays in the cache for all rows.
    private let a: [Float]

    /// - Precondition: the rank is positive; `b` and `a` have `rows * rank` and `rank * columns` elements.
    package init(b: [Float], a: [Float], rank: Int, columns: Int, scaling: Float) {
        precondition(rank > 0 && a.count == rank * columns && b.count.isMultiple(of: rank))
        (self.rank, self.columns, self.scaling) = (rank, columns, scaling)
        let tile = PackedMatrix.tileRows * rank, block = DK_BLOCK
        let missing = b.count.roundedUp(to: tile) - b.count
        self.b = missing == 0 ? b : b + [Float](repeating: 0, count: missing)
        self.a = [Float](unsafeUninitializedCapacity: rank * columns.roundedUp(to: block)) { blocks, count in
            for start in stride(from: 0, to: columns, by: block) {
                let width = min(block, columns - start)
                for index in 0..<rank {
                    let part = a[index * columns + start..<index * columns + start + width]
                    _ = blocks[count..<count + width].initialize(fromContentsOf: part)
                    blocks[count + width..<count + block].initialize(repeating: 0)
                    count += block
                }
            }
        }
    }

    /// Elements that `add` writes for that many rows.
    package func blockedCount(rows: Int) -> Int { rows * columns.roundedUp(to: DK_BLOCK) }

    /// `out = before + scaling * b[rows] a`.
    /// - Parameters:
    ///   - before: `[rows.count, columns]`
    ///   - out: `[columns / 64 rounded up, rows.count, 64]`, padded with zeros: one row is that row. Nil if only the squares
    ///     are wanted.
    ///   - squares: `[rows.count]`, the sum of each row's squares.
    /// - Precondition: `rows` lie in b's tiles, and are no more than a tile has.
    package func add(
        rows: Range<Int>, to before: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>?,
        squares: UnsafeMutablePointer<Double>, on compute: Compute
    ) {
        precondition(rows.lowerBound >= 0 && rows.upperBound * rank <= b.count)
        precondition(rows.count <= PackedMatrix.tileRows)
        b.withUnsafeBufferPointer { b in
            a.withUnsafeBufferPointer { a in
                guard let b = b.baseAddress, let a = a.baseAddress else { return }
                compute.kernels.pointee.add_product(
                    before, b + rows.lowerBound * rank, a, Int64(rows.count), Int64(rank), scaling,
                    Int64(columns),
                    out, squares)
            }
        }
    }

    /// `V + scaling * b a` of one tile of outputs.
    ///
    /// An element is one chain over the ranks that begins with V, so that its last bit may be another than that of `add`
    /// to rows.
    /// - Parameters:
    ///   - tile: of b.
    ///   - before: V's rows.
    ///   - out: `[columns, 16]`. Nil if only the squares are wanted.
    ///   - squares: `[16]`, the sum of each row's squares.
    package func add(
        tile: Int, to before: ExactTile, into out: UnsafeMutablePointer<Float>?,
        squares: UnsafeMutablePointer<Double>, on compute: Compute
    ) {
        let height = PackedMatrix.tileRows
        precondition(before.columns == columns)
        precondition(tile >= 0 && (tile + 1) * height * rank <= b.count)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: height * rank) { scaled in
            guard let scaled = scaled.baseAddress else { return }
            b.withUnsafeBufferPointer { b in
                for row in 0..<height {
                    for index in 0..<rank {
                        scaled[index * height + row] = scaling * b[(tile * height + row) * rank + index]
                    }
                }
            }
            a.withUnsafeBufferPointer { a in
                before.withPointers { view, decoding in
                    compute.kernels.pointee.square_rows(
                        view, decoding, Int64(before.index), scaled, a.baseAddress, Int64(rank),
                        Int64(columns),
                        out, squares)
                }
            }
        }
    }
}
