import CKernels

/// A matrix in memory that stands for exactly V, and what its codes stand for.
package struct ExactMatrix: Sendable {
    package let matrix: PackedMatrix
    package let values: CodeValues

    /// - Precondition: the matrix has its inputs in V's order.
    package init(matrix: PackedMatrix, values: CodeValues) {
        precondition(matrix.inputOrder == nil)
        self.matrix = matrix
        self.values = values
    }

    package func tile(_ index: Int) -> ExactTile {
        precondition(index >= 0 && index < matrix.tileCount)
        return ExactTile(
            columns: matrix.columns, view: matrix.view, index: index, values: values, owner: matrix)
    }
}

/// Sixteen rows of V in memory: a tile of a matrix, or floats for as long as they lie where they do.
package struct ExactTile {
    package let columns: Int
    let view: dk_matrix
    /// Of the tile in the matrix.
    let index: Int
    let values: CodeValues
    /// What the view points into, if it is a matrix.
    fileprivate let owner: PackedMatrix?

    /// - Parameter floats: `[columns, 16]`
    package init(floats: UnsafePointer<Float>, columns: Int) {
        var view = dk_matrix()
        view.format = DK_F32
        view.rows = Int64(PackedMatrix.tileRows)
        view.padded_columns = Int64(columns)
        view.codes = UnsafeRawPointer(floats)
        self.init(columns: columns, view: view, index: 0, values: CodeValues(), owner: nil)
    }

    fileprivate init(columns: Int, view: dk_matrix, index: Int, values: CodeValues, owner: PackedMatrix?) {
        (self.columns, self.view, self.index, self.values) = (columns, view, index, values)
        self.owner = owner
    }

    /// Rows of floats as a tile.
    /// - Parameters:
    ///   - rows: `[16, columns]`
    ///   - floats: `[columns, 16]`, which the tile lies in.
    package init(
        rows: UnsafePointer<Float>, columns: Int, in floats: UnsafeMutablePointer<Float>, on compute: Compute
    ) {
        self.init(floats: floats, columns: columns)
        withUnsafePointer(to: view) { compute.kernels.pointee.pack($0, 0, rows, Int64(columns)) }
    }

    /// Calls `body` with the floats, `[columns, 16]`.
    package func withFloats<Result>(
        on compute: Compute, _ body: (UnsafePointer<Float>) -> Result
    ) -> Result {
        if view.format == DK_F32, let codes = view.codes {
            let first = index * columns * PackedMatrix.tileRows
            return withExtendedLifetime(owner) { body(codes.assumingMemoryBound(to: Float.self) + first) }
        }
        let floats = UnsafeMutablePointer<Float>.allocate(capacity: columns * PackedMatrix.tileRows)
        defer { floats.deallocate() }
        // A product of rank 0 adds nothing.
        var squares = [Double](repeating: 0, count: PackedMatrix.tileRows)
        withPointers { view, decoding in
            compute.kernels.pointee.square_rows(
                view, decoding, Int64(index), floats, floats, 0, Int64(columns), floats, &squares)
        }
        return body(floats)
    }

    func withPointers(_ body: (UnsafePointer<dk_matrix>, UnsafePointer<dk_decoding>) -> Void) {
        withExtendedLifetime(owner) {
            withUnsafePointer(to: view) { view in values.withDecoding { body(view, $0) } }
        }
    }
}
