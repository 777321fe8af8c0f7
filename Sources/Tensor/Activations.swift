import CKernels

/// Rows of activations that a step multiplies: floats, and their int8 blocks once a quantized matrix asks for them.
///
/// Owned by one forward pass; not shared.
package final class Activations {
    package let columns: Int
    package let capacity: Int
    package private(set) var tokens = 0
    private let memory: AlignedMemory
    private let codes: AlignedMemory
    private let scales: AlignedMemory
    private let offsets: AlignedMemory
    private let paddedColumns: Int
    private var isQuantized = false

    package init(capacity: Int, columns: Int) throws(ComputeError) {
        self.capacity = capacity
        self.columns = columns
        paddedColumns = columns.roundedUp(to: DK_BLOCK)
        memory = try AlignedMemory(byteCount: capacity * columns * 4)
        codes = try AlignedMemory(byteCount: capacity * paddedColumns)
        scales = try AlignedMemory(byteCount: capacity * paddedColumns / DK_BLOCK * 4)
        offsets = try AlignedMemory(byteCount: capacity * paddedColumns / DK_BLOCK * 4)
    }

    /// `[tokens, columns]`.
    package var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }

    package func row(_ token: Int) -> UnsafeMutablePointer<Float> { floats + token * columns }

    /// Says that `tokens` rows have new floats.
    package func refill(tokens: Int) {
        precondition(tokens <= capacity)
        self.tokens = tokens
        isQuantized = false
    }

    private func quantize(on compute: Compute) {
        if isQuantized { return }
        isQuantized = true
        let group = DK_GROUP
        let codes = codes.pointer.assumingMemoryBound(to: Int8.self)
        let scales = scales.pointer.assumingMemoryBound(to: Float.self)
        let offsets = offsets.pointer.assumingMemoryBound(to: Int32.self)
        let (floats, tokens, columns, padded) = (floats, tokens, columns, paddedColumns)
        compute.parallel(tokens.roundedUp(to: group) / group) { index in
            let first = index * group
            compute.kernels.pointee.quantize(
                floats + first * columns, Int64(min(group, tokens - first)), Int64(columns), Int64(padded),
                codes + first * padded, scales + first * padded / DK_BLOCK,
                offsets + first * padded / DK_BLOCK)
        }
    }

    /// `out[token, rows] = self x matrix^T`, with `stride` floats between the tokens of `out`. A token's result does
    /// not depend on how many others there are, nor on the threads.
    package func multiply(
        _ matrix: PackedMatrix, into out: UnsafeMutablePointer<Float>, stride: Int, on compute: Compute
    ) {
        precondition(matrix.columns == columns)
        if matrix.format.isQuantized { quantize(on: compute) }
        var view = dk_activations()
        view.tokens = Int64(tokens)
        view.columns = Int64(columns)
        view.padded_columns = Int64(paddedColumns)
        view.floats = UnsafePointer(floats)
        view.codes = UnsafePointer(codes.pointer.assumingMemoryBound(to: Int8.self))
        view.scales = UnsafePointer(scales.pointer.assumingMemoryBound(to: Float.self))
        view.offsets = UnsafePointer(offsets.pointer.assumingMemoryBound(to: Int32.self))
        let tilesPerTask = 4
        let tiles = matrix.tileCount
        withUnsafePointer(to: matrix.view) { matrix in
            withUnsafePointer(to: view) { view in
                compute.parallel(tiles.roundedUp(to: tilesPerTask) / tilesPerTask) { task in
                    let first = task * tilesPerTask
                    compute.kernels.pointee.multiply(
                        matrix, view, Int64(first), Int64(min(first + tilesPerTask, tiles)), out,
                        Int64(stride))
                }
            }
        }
    }
}
