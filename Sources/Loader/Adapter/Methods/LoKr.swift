import DoraTensor
import DoraText

/// LoKr (arXiv 2309.14859; PEFT `peft/tuners/lokr/layer.py`): a Kronecker product, either side of which may be a product
/// of low rank itself. How the dimensions are cut (`decompose_factor`), and which sides are whole
/// (`decompose_both`), is read off the tensors.
struct LoKr: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "LOKR", title: "LoKr", read: ["r", "alpha", "rank_pattern", "alpha_pattern"],
        harmless: [
            "rank_dropout", "module_dropout", "rank_dropout_scale", "init_weights", "use_effective_conv2d",
            "decompose_both", "decompose_factor",
        ],
        defaultRank: 8, alpha: "alpha",
        parameters: ["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"])

    init(_ fields: JSONFields) {}

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        try assembly.requireLinear(module, Self.vocabulary.title)
        let rank = assembly.matching.rank(of: module.name)
        let left = try side("lokr_w1", rank, module, assembly)
        let right = try side("lokr_w2", rank, module, assembly)
        let (rows, tooMany) = left.rows.multipliedReportingOverflow(by: right.rows)
        let (columns, tooWide) = left.columns.multipliedReportingOverflow(by: right.columns)
        guard !tooMany, !tooWide, [rows, columns] == module.weightShape else {
            throw LoadError(
                .mismatch, file: assembly.tensors.path, field: "\(module.name).lokr_w2",
                expected: "two sides whose Kronecker product is \(TensorShape.describe(module.weightShape))",
                found: "[\(left.rows), \(left.columns)] and [\(right.rows), \(right.columns)]",
                advice: "serve the adapter with the base on which it was trained")
        }
        return LoKrUpdate(
            rank: rank, scaling: assembly.matching.scaling(of: module.name), left: left, right: right)
    }

    /// One side, whole or as its two factors.
    private func side(
        _ name: String, _ rank: Int, _ module: ModuleInventory.Module, _ assembly: AdapterAssembly
    ) throws(LoadError) -> LoKrUpdate.Side {
        if let whole = try assembly.optionalParameter(name, of: module) {
            for part in ["_a", "_b"] {
                if let other = try assembly.optionalParameter(name + part, of: module) {
                    throw LoadError(
                        .malformed, file: other.file, field: other.name,
                        "\(whole.name) is the same side, whole",
                        advice: "keep one of them")
                }
            }
            guard whole.shape.count == 2 else { throw AdapterAssembly.sharded(whole) }
            return LoKrUpdate.Side(
                rows: whole.shape[0], columns: whole.shape[1],
                whole: try AdapterAssembly.numbers(whole, shape: whole.shape))
        }
        let b = try assembly.optionalParameter(name + "_a", of: module)
        let a = try assembly.optionalParameter(name + "_b", of: module)
        guard let b, let a else {
            throw assembly.error(
                .missing, module, .parameter(b == nil && a == nil ? name : name + (b == nil ? "_a" : "_b")),
                "the file holds no such tensor, though it adapts the module", advice: "save the adapter again"
            )
        }
        guard b.shape.count == 2, a.shape.count == 2 else {
            throw AdapterAssembly.sharded(b.shape.count == 2 ? a : b)
        }
        return LoKrUpdate.Side(
            rows: b.shape[0], columns: a.shape[1], rank: rank,
            b: try AdapterAssembly.numbers(b, shape: [b.shape[0], rank]),
            a: try AdapterAssembly.numbers(a, shape: [rank, a.shape[1]]))
    }
}

/// W' = V + s W1 ⊗ W2.
struct LoKrUpdate: WeightUpdate {
    struct Side: Sendable {
        let rows: Int
        let columns: Int
        /// `[rows, columns]`
        let whole: [Float]
        let isZero: Bool

        init(rows: Int, columns: Int, whole: [Float]) {
            (self.rows, self.columns, self.whole) = (rows, columns, whole)
            isZero = whole.allSatisfy { $0 == 0 }
        }

        /// b a, b `[rows, rank]`, a `[rank, columns]`: sums over the ranks in ascending order.
        init(rows: Int, columns: Int, rank: Int, b: [Float], a: [Float]) {
            var product = [Float](repeating: 0, count: rows * columns)
            for row in 0..<rows {
                for index in 0..<rank {
                    let factor = b[row * rank + index]
                    for column in 0..<columns {
                        product[row * columns + column] += factor * a[index * columns + column]
                    }
                }
            }
            self.init(rows: rows, columns: columns, whole: product)
        }
    }

    let rank: Int
    let scaling: Float
    let left: Side
    let right: Side

    var label: String { "LoKr rank \(rank)" }
    var addsNothing: Bool { scaling == 0 || left.isZero || right.isZero }
    var byteCount: Int { (left.whole.count + right.whole.count) * MemoryLayout<Float>.size }

    func scaled(by factor: Float) -> LoKrUpdate? {
        LoKrUpdate(rank: rank, scaling: scaling * factor, left: left, right: right)
    }

    func rows(columns: Int, on compute: Compute) -> any RowMerge { Rows(update: self, columns: columns) }

    private struct Rows: RowMerge {
        let update: LoKrUpdate
        let columns: Int

        func change(
            tile: Int, of before: ExactTile, into target: TileRows, on compute: Compute
        ) -> RowFactors {
            let (left, right, scaling) = (update.left, update.right, update.scaling)
            let rows = TileRows.rows(of: tile).map { $0 < left.rows * right.rows ? $0 : nil }
            before.withFloats(on: compute) { values in
                target.write { offset, column, index in
                    guard let row = rows[offset] else { return values[index] }
                    let product =
                        left.whole[row / right.rows * left.columns + column / right.columns]
                        * right.whole[row % right.rows * right.columns + column % right.columns]
                    return values[index] + product * scaling
                }
            }
            return RowFactors()
        }
    }
}
