import DoraTensor
import DoraText

/// LoHa (arXiv 2108.06098; PEFT `peft/tuners/loha/layer.py`): the product, element by element, of two low-rank matrices.
struct LoHa: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "LOHA", title: "LoHa", read: ["r", "alpha", "rank_pattern", "alpha_pattern"],
        harmless: ["rank_dropout", "module_dropout", "init_weights", "use_effective_conv2d"],
        defaultRank: 8, alpha: "alpha", parameters: ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"])

    init(_ fields: JSONFields) {}

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        try assembly.requireLinear(module, Self.vocabulary.title)
        let rank = assembly.matching.rank(of: module.name)
        func factor(_ name: String, _ shape: [Int]) throws(LoadError) -> [Float] {
            try assembly.parameter(name, of: module, shape: shape)
        }
        let (b, a) = ([module.outputs, rank], [rank, module.inputs])
        return LoHaUpdate(
            rank: rank, scaling: assembly.matching.scaling(of: module.name), outputs: module.outputs,
            first: (b: try factor("hada_w1_a", b), a: try factor("hada_w1_b", a)),
            second: (b: try factor("hada_w2_a", b), a: try factor("hada_w2_b", a)))
    }
}

/// W' = V + s (B1 A1) ⊙ (B2 A2).
struct LoHaUpdate: WeightUpdate {
    let rank: Int
    let scaling: Float
    let outputs: Int
    /// b `[outputs, rank]`, a `[rank, inputs]`
    let first: (b: [Float], a: [Float])
    let second: (b: [Float], a: [Float])

    var label: String { "LoHa rank \(rank)" }
    var addsNothing: Bool {
        scaling == 0 || [first.a, first.b, second.a, second.b].contains { $0.allSatisfy { $0 == 0 } }
    }
    var byteCount: Int { 2 * (first.a.count + first.b.count) * MemoryLayout<Float>.size }

    func scaled(by factor: Float) -> LoHaUpdate? {
        LoHaUpdate(rank: rank, scaling: scaling * factor, outputs: outputs, first: first, second: second)
    }

    func rows(columns: Int, on compute: Compute) -> any RowMerge {
        func product(_ factors: (b: [Float], a: [Float])) -> LowRankProduct {
            LowRankProduct(b: factors.b, a: factors.a, rank: rank, columns: columns, scaling: 1)
        }
        return Rows(first: product(first), second: product(second), scaling: scaling, columns: columns)
    }

    private struct Rows: RowMerge {
        let first: LowRankProduct
        let second: LowRankProduct
        let scaling: Float
        let columns: Int

        func change(
            rows: Range<Int>, of before: UnsafePointer<Float>, into blocks: UnsafeMutablePointer<Float>,
            on compute: Compute
        ) -> RowFactors {
            let zeros = [Float](repeating: 0, count: rows.count * columns)
            var squares = [Double](repeating: 0, count: rows.count)
            let count = BlockedRows.count(columns: columns)
            withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { memory in
                guard let other = memory.baseAddress else { return }
                first.add(rows: rows, to: zeros, into: blocks, squares: &squares, on: compute)
                second.add(rows: rows, to: zeros, into: other, squares: &squares, on: compute)
                let target = BlockedRows(start: blocks, columns: columns)
                for offset in 0..<rows.count {
                    let values = before + offset * columns
                    target.update(row: offset) { column, product in
                        let index = BlockedRows.index(row: offset, column: column)
                        return values[column] + product * other[index] * scaling
                    }
                }
            }
            return RowFactors()
        }
    }
}
