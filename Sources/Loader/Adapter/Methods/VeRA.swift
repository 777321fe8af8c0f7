import DoraTensor
import DoraText

/// VeRA (arXiv 2310.11454; PEFT `peft/tuners/vera/layer.py`): one random pair of factors for all modules, of which each
/// takes as much as it needs, and two trained vectors of its own.
struct VeRA: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "VERA", title: "VeRA", read: ["r", "save_projection"],
        // PEFT itself sets fan_in_fan_out aside for the linear layers of a Llama.
        harmless: ["vera_dropout", "d_initial", "init_weights", "projection_prng_key", "fan_in_fan_out"],
        defaultRank: 256, parameters: ["vera_lambda_b", "vera_lambda_d"], shared: ["vera_A", "vera_B"])

    init(_ fields: JSONFields) throws(LoadError) {
        let key = "save_projection"
        guard try fields.bool(key) == false else { return }
        throw fields.unsupported(
            key, "the projections are not in the file, and only PyTorch's random numbers can make them again",
            advice: "load the adapter in PEFT, set save_projection of its configuration to true and save it")
    }

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        try assembly.requireLinear(module, Self.vocabulary.title)
        let rank = assembly.configuration.rank
        let a = try projection("vera_A", assembly) { $0[0] == rank && $0[1] >= module.inputs }
        let b = try projection("vera_B", assembly) { $0[1] == rank && $0[0] >= module.outputs }
        return VeRAUpdate(
            rank: rank, a: a, b: b,
            rankFactors: try assembly.parameter("vera_lambda_d", of: module, shape: [rank]),
            outputFactors: try assembly.parameter("vera_lambda_b", of: module, shape: [module.outputs]))
    }

    private func projection(
        _ name: String, _ assembly: AdapterAssembly, fits: ([Int]) -> Bool
    ) throws(LoadError) -> TensorView {
        guard let tensor = assembly.tensors[shared: name] else {
            throw LoadError(
                .missing, file: assembly.tensors.path, field: "base_model.\(name)",
                "the file holds no projection, though save_projection is true",
                advice: "load the adapter in PEFT and save it again")
        }
        guard tensor.count > 0, tensor.shape.count == 2 else { throw AdapterAssembly.sharded(tensor) }
        guard fits(tensor.shape) else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                expected: "a projection of rank \(assembly.configuration.rank) that covers every module",
                found: TensorShape.describe(tensor.shape),
                advice: "serve the adapter with the base on which it was trained")
        }
        return tensor
    }
}

/// W' = V + (b ⊙ B)(d ⊙ A), with as many rows of B and columns of A as the module has outputs and inputs.
struct VeRAUpdate: WeightUpdate {
    let rank: Int
    /// `[rank, at least inputs]`, shared by all modules: a module's own copy is made when it is merged.
    let a: TensorView
    /// `[at least outputs, rank]`
    let b: TensorView
    /// d `[rank]`
    let rankFactors: [Float]
    /// b `[outputs]`
    let outputFactors: [Float]

    var label: String { "VeRA rank \(rank)" }
    var addsNothing: Bool { rankFactors.allSatisfy { $0 == 0 } || outputFactors.allSatisfy { $0 == 0 } }
    var byteCount: Int { (rankFactors.count + outputFactors.count) * MemoryLayout<Float>.size }

    func rows(columns: Int, on compute: Compute) -> any RowMerge {
        let width = a.shape[1]
        var scaledA = [Float](repeating: 0, count: rank * columns)
        scaledA.withUnsafeMutableBufferPointer { values in
            for row in 0..<rank {
                let part = UnsafeMutableBufferPointer(rebasing: values[row * columns..<(row + 1) * columns])
                a.convert(row * width..<row * width + columns, into: part)
                for column in 0..<columns { part[column] *= rankFactors[row] }
            }
        }
        var scaledB = [Float](repeating: 0, count: outputFactors.count * rank)
        scaledB.withUnsafeMutableBufferPointer { values in
            b.convert(0..<values.count, into: values)
            for row in outputFactors.indices {
                for index in 0..<rank { values[row * rank + index] *= outputFactors[row] }
            }
        }
        let product = LowRankProduct(b: scaledB, a: scaledA, rank: rank, columns: columns, scaling: 1)
        return LowRankRows(product: product, magnitude: nil)
    }
}
