import CKernels

/// Rows of activations that a step multiplies: floats, and their blocks of integers once a quantized matrix asks for
/// them.
///
/// Owned by one forward pass; not shared.
package final class Activations {
    package let columns: Int
    package let capacity: Int
    package private(set) var tokens = 0
    private let memory: AlignedMemory
    private let codes: AlignedMemory
    private let offsets: AlignedMemory
    private let scales: AlignedMemory
    private let sums: AlignedMemory
    private let shifts: AlignedMemory
    private let terms: AlignedMemory
    private let paddedColumns: Int
    private let threshold: Float
    private var isQuantized = false
    /// Copies for matrices that hold their inputs in an order of their own; the first `arrangedCount` are of these rows.
    private var arranged: [(order: InputOrder, rows: Activations)] = []
    private var arrangedCount = 0

    package init(
        capacity: Int, columns: Int, secondTerms: SecondTerms = .peaks
    ) throws(ComputeError) {
        self.capacity = capacity
        self.columns = columns
        threshold = secondTerms.threshold
        paddedColumns = columns.roundedUp(to: DK_BLOCK)
        let blocks = paddedColumns / DK_BLOCK
        let groups = capacity.roundedUp(to: DK_GROUP) / DK_GROUP
        memory = try AlignedMemory(byteCount: capacity * columns * 4)
        codes = try AlignedMemory(byteCount: 4 * capacity * paddedColumns)
        offsets = try AlignedMemory(byteCount: 6 * capacity * blocks * 4)
        scales = try AlignedMemory(byteCount: capacity * blocks * 4)
        sums = try AlignedMemory(byteCount: capacity * blocks * 4)
        shifts = try AlignedMemory(byteCount: 2 * capacity * blocks * 4)
        terms = try AlignedMemory(byteCount: groups * blocks * MemoryLayout<dk_terms>.size)
    }

    /// `[tokens, columns]`.
    package var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }

    package func row(_ token: Int) -> UnsafeMutablePointer<Float> { floats + token * columns }

    /// Says that `tokens` rows have new floats.
    package func refill(tokens: Int) {
        precondition(tokens <= capacity)
        self.tokens = tokens
        isQuantized = false
        arrangedCount = 0
    }

    /// These rows with their inputs in an order: found, or made in the place of one of the last step's.
    private func rows(in order: InputOrder?, on compute: Compute) throws(ComputeError) -> Activations {
        guard let order else { return self }
        if let known = arranged.prefix(arrangedCount).first(where: { $0.order == order }) {
            return known.rows
        }
        if arrangedCount == arranged.count {
            let rows = try Activations(
                capacity: capacity, columns: columns, secondTerms: SecondTerms(threshold: threshold))
            arranged.append((order, rows))
        }
        let copy = arranged[arrangedCount].rows
        arranged[arrangedCount].order = order
        arrangedCount += 1
        compute.parallel(tokens) { order.arrange(row($0), into: copy.row($0)) }
        copy.refill(tokens: tokens)
        return copy
    }

    private var view: dk_activations {
        var view = dk_activations()
        view.tokens = Int64(tokens)
        view.columns = Int64(columns)
        view.padded_columns = Int64(paddedColumns)
        view.threshold = threshold
        view.floats = UnsafePointer(floats)
        view.codes = codes.pointer
        view.offsets = offsets.pointer.assumingMemoryBound(to: Int32.self)
        view.scales = scales.pointer.assumingMemoryBound(to: Float.self)
        view.sums = sums.pointer.assumingMemoryBound(to: Float.self)
        view.shifts = shifts.pointer.assumingMemoryBound(to: Float.self)
        view.terms = terms.pointer.assumingMemoryBound(to: dk_terms.self)
        return view
    }

    private func quantize(on compute: Compute) {
        if isQuantized { return }
        isQuantized = true
        withUnsafePointer(to: view) { view in
            compute.parallel(tokens.roundedUp(to: DK_GROUP) / DK_GROUP) { group in
                compute.kernels.pointee.quantize(view, Int64(group))
            }
        }
    }

    /// One matrix to multiply by, and where the result goes: `out[token, rows] = activations x matrix^T`, with `stride`
    /// floats between the tokens of `out`.
    package struct Product {
        let matrix: PackedMatrix
        let out: UnsafeMutablePointer<Float>
        let stride: Int

        package init(by matrix: PackedMatrix, into out: UnsafeMutablePointer<Float>, stride: Int) {
            self.matrix = matrix
            self.out = out
            self.stride = stride
        }
    }

    /// Two, as the kernels take pairs; more would leave a thread waiting for the other's last task.
    private static let tilesPerTask = 2

    /// Multiplies by several matrices in one go, so that the threads meet once. A token's result depends neither on
    /// how many others there are, nor on the threads.
    /// - Throws: where there is no memory for a copy in another order of the inputs.
    package func multiply(_ products: [Product], on compute: Compute) throws(ComputeError) {
        let inputs = try products.map { (product) throws(ComputeError) in
            let rows = try self.rows(in: product.matrix.inputOrder, on: compute)
            if product.matrix.format.isQuantized { rows.quantize(on: compute) }
            return rows.view
        }
        var taskCount = 0
        let ends = products.map { product in
            precondition(product.matrix.columns == columns)
            taskCount += product.matrix.tileCount.roundedUp(to: Self.tilesPerTask) / Self.tilesPerTask
            return taskCount
        }
        let matrices = products.map(\.matrix.view)
        inputs.withUnsafeBufferPointer { inputs in
            matrices.withUnsafeBufferPointer { matrices in
                compute.parallel(taskCount) { task in
                    var index = 0
                    while ends[index] <= task { index += 1 }
                    let product = products[index]
                    let first = (task - (index == 0 ? 0 : ends[index - 1])) * Self.tilesPerTask
                    compute.kernels.pointee.multiply(
                        matrices.baseAddress.map { $0 + index }, inputs.baseAddress.map { $0 + index },
                        Int64(first),
                        Int64(min(first + Self.tilesPerTask, product.matrix.tileCount)), product.out,
                        Int64(product.stride))
                }
            }
        }
    }
}
