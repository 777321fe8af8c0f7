import CKernels

extension Activations {
    /// One matrix to multiply by, and where the result goes: `out[token, rows] = activations x matrix^T`, with `stride`
    /// floats between the tokens of `out`.
    package struct Product {
        let matrix: PackedMatrix
        let out: UnsafeMutablePointer<Float>
        let stride: Int
        let additions: [Addition]

        package init(
            by matrix: PackedMatrix, into out: UnsafeMutablePointer<Float>, stride: Int,
            additions: [Addition] = []
        ) {
            self.matrix = matrix
            self.out = out
            self.stride = stride
            self.additions = additions
        }
    }

    /// What stands beside the matrix for some of the tokens. No token has two.
    package struct Addition {
        package var tokens: Range<Int>
        package let part: LowRankPart?
        /// `[matrix.rows]`
        package let bias: [Float]?

        package init(tokens: Range<Int>, part: LowRankPart?, bias: [Float]?) {
            self.tokens = tokens
            self.part = part
            self.bias = bias
        }
    }

    /// An addition as the kernels see it.
    private struct Placed {
        let view: dk_low_rank
        let tokens: Range<Int>
        let bias: [Float]?
        /// Of its sums in `reduced`.
        let start: Int
    }

    /// Some tokens that one block of ranks is multiplied by.
    private struct Reduction {
        let addition: Int
        let block: Int
        let tokens: Range<Int>
    }

    /// Two, as the kernels take pairs; more would leave a thread waiting for the other's last task.
    private static let tilesPerTask = 2

    /// Multiplies by several matrices in one go, so that the threads meet twice: once what is made of the rows
    /// themselves is there, which is read by all outputs, and once the outputs are. Rows in an order of inputs that
    /// some matrices have for themselves are made before, once for all of these. A token's result depends neither on
    /// how many others there are, nor on the threads.
    /// - Throws: where there is no memory for a copy in another order of the inputs.
    package func multiply(_ products: [Product], on compute: Compute) throws(ComputeError) {
        let inputs = try products.map { (product) throws(ComputeError) in
            let input = try rows(in: product.matrix.inputOrder, on: compute)
            if product.matrix.format.wantsQuarters { try input.wantQuarters() }
            if product.matrix.format.wantsPanels { try input.wantPanels() }
            return input
        }
        var placed: [Placed] = []
        var sums = 0
        let ranges = products.map { product in
            let first = placed.count
            for addition in product.additions {
                if let part = addition.part {
                    precondition(part.columns == columns && part.rows == product.matrix.rows)
                }
                precondition(addition.bias.map { $0.count == product.matrix.rows } ?? true)
                precondition(addition.tokens.lowerBound >= 0 && addition.tokens.upperBound <= tokens)
                let view = addition.part?.view ?? dk_low_rank()
                placed.append(
                    Placed(view: view, tokens: addition.tokens, bias: addition.bias, start: sums))
                sums += addition.tokens.count * Int(view.rank)
            }
            return first..<placed.count
        }
        // Never empty, so that there is a pointer.
        if reduced.count < sums { reduced = [Float](repeating: 0, count: sums) }
        reduced.withUnsafeMutableBufferPointer { reduced in
            placed.withUnsafeBufferPointer { placed in
                prepare(products, inputs, placed, into: reduced.baseAddress, on: compute)
                apply(products, inputs, placed, ranges, reduced: reduced.baseAddress, on: compute)
            }
        }
    }

    /// Puts the rows into blocks of integers or side by side, as the matrices want them, and multiplies them by the
    /// first factors.
    private func prepare(
        _ products: [Product], _ inputs: [Activations], _ placed: UnsafeBufferPointer<Placed>,
        into reduced: UnsafeMutablePointer<Float>?, on compute: Compute
    ) {
        var groups = 0
        var panels = 0
        for (product, input) in zip(products, inputs) {
            guard input === self else {
                input.prepare(for: product.matrix, on: compute)
                continue
            }
            if product.matrix.format.isQuantized { groups += takeUnquantized() }
            if product.matrix.format.wantsPanels { panels += takeApart() }
        }
        var reductions: [Reduction] = []
        for (index, addition) in placed.enumerated() {
            for block in 0..<Int(addition.view.rank).roundedUp(to: DK_RANKS) / DK_RANKS {
                for first in stride(from: 0, to: addition.tokens.count, by: DK_GROUP) {
                    reductions.append(
                        Reduction(
                            addition: index, block: block,
                            tokens: first..<min(first + DK_GROUP, addition.tokens.count)))
                }
            }
        }
        let prepared = groups + panels
        guard prepared + reductions.count > 0 else { return }
        withUnsafePointer(to: view) { view in
            reductions.withUnsafeBufferPointer { reductions in
                compute.parallel(prepared + reductions.count) { task in
                    if task < groups {
                        compute.kernels.pointee.quantize(view, Int64(task))
                        return
                    }
                    if task < prepared {
                        compute.kernels.pointee.interleave(view, Int64(task - groups))
                        return
                    }
                    let reduction = reductions[task - prepared]
                    guard let reduced, let from = placed.baseAddress.map({ $0 + reduction.addition }) else {
                        return
                    }
                    withUnsafePointer(to: from.pointee.view) { part in
                        compute.kernels.pointee.reduce(
                            part, row(from.pointee.tokens.lowerBound + reduction.tokens.lowerBound),
                            Int64(columns), Int64(reduction.tokens.count), Int64(reduction.block),
                            reduced + from.pointee.start + reduction.tokens.lowerBound
                                * Int(part.pointee.rank))
                    }
                }
            }
        }
    }

    /// Puts the rows into blocks of integers or side by side by themselves.
    private func prepare(for matrix: PackedMatrix, on compute: Compute) {
        let groups = matrix.format.isQuantized ? takeUnquantized() : 0
        let panels = matrix.format.wantsPanels ? takeApart() : 0
        withUnsafePointer(to: view) { view in
            compute.parallel(groups) { compute.kernels.pointee.quantize(view, Int64($0)) }
            compute.parallel(panels) { compute.kernels.pointee.interleave(view, Int64($0)) }
        }
    }

    /// The outputs, some tiles at a time, with all that is added to them.
    private func apply(
        _ products: [Product], _ inputs: [Activations], _ placed: UnsafeBufferPointer<Placed>,
        _ ranges: [Range<Int>], reduced: UnsafeMutablePointer<Float>?, on compute: Compute
    ) {
        var taskCount = 0
        let ends = products.map { product in
            precondition(product.matrix.columns == columns)
            taskCount += product.matrix.tileCount.roundedUp(to: Self.tilesPerTask) / Self.tilesPerTask
            return taskCount
        }
        let matrices = products.map(\.matrix.view)
        let views = inputs.map(\.view)
        views.withUnsafeBufferPointer { views in
            matrices.withUnsafeBufferPointer { matrices in
                compute.parallel(taskCount) { task in
                    var index = 0
                    while ends[index] <= task { index += 1 }
                    let product = products[index]
                    let first = (task - (index == 0 ? 0 : ends[index - 1])) * Self.tilesPerTask
                    let end = min(first + Self.tilesPerTask, product.matrix.tileCount)
                    for addition in ranges[index] {
                        withUnsafePointer(to: placed[addition].view) {
                            dk_fetch_tiles($0, Int64(first), Int64(end))
                        }
                    }
                    compute.kernels.pointee.multiply(
                        matrices.baseAddress.map { $0 + index }, views.baseAddress.map { $0 + index },
                        Int64(first), Int64(end), product.out, Int64(product.stride))
                    for addition in ranges[index] {
                        finish(
                            placed[addition], of: product, tiles: first..<end, reduced: reduced, on: compute)
                    }
                }
            }
        }
    }

    private func finish(
        _ addition: Placed, of product: Product, tiles: Range<Int>, reduced: UnsafeMutablePointer<Float>?,
        on compute: Compute
    ) {
        func finish(_ bias: UnsafePointer<Float>?) {
            withUnsafePointer(to: addition.view) { part in
                compute.kernels.pointee.finish(
                    part, reduced.map { $0 + addition.start }, Int64(addition.tokens.count), bias,
                    Int64(product.matrix.rows), Int64(tiles.lowerBound), Int64(tiles.upperBound),
                    product.out + addition.tokens.lowerBound * product.stride, Int64(product.stride))
            }
        }
        if let bias = addition.bias {
            bias.withUnsafeBufferPointer { finish($0.baseAddress) }
        } else {
            finish(nil)
        }
    }
}
