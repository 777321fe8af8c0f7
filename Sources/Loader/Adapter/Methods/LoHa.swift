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
            tile: Int, of before: ExactTile, into rows: TileRows, on compute: Compute
        ) -> RowFactors {
            let zeros = [Float](repeating: 0, count: PackedMatrix.tileRows * columns)
            var squares = [Double](repeating: 0, count: PackedMatrix.tileRows)
            let other = TileRows(columns: columns)
            defer { other.deallocate() }
            zeros.withUnsafeBufferPointer { zeros in
                guard let zeros = zeros.baseAddress else { return }
                let nothing = ExactTile(floats: zeros, columns: columns)
                first.add(tile: tile, to: nothing, into: rows.start, squares: &squares, on: compute)
                second.add(tile: tile, to: nothing, into: other.start, squares: &squares, on: compute)
            }
            before.withFloats(on: compute) { values in
                for index in 0..<PackedMatrix.tileRows * columns {
                    rows.start[index] = values[index] + rows.start[index] * other.start[index] * scaling
                }
            }
            return RowFactors()
        }
    }
}
