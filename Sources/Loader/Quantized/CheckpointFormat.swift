import DoraText

/// How checkpoints hold the linear layers that a library of the hub has quantized. One file each, and a row of
/// `QuantizationConfiguration.formats`.
protocol CheckpointFormat: Equatable, Sendable {
    /// `quant_method` of `config.json`.
    static var method: String { get }
    /// Whether the library also quantizes 16-bit weights when it loads them, and `--quantize` does the same.
    static var quantizesOnLoad: Bool { get }
    /// What stands behind a module's name in the names of a quantized matrix's tensors, `weight` aside.
    static var parts: [String] { get }

    /// Reads `quantization_config`.
    init(_ fields: JSONFields) throws(LoadError)
    /// V of a linear module; nil where the checkpoint holds it in floats.
    /// - Throws: `LoadError` naming the tensor that does not fit the others.
    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)?
}

extension CheckpointFormat {
    static var quantizesOnLoad: Bool { false }

    func isEqual(to other: any CheckpointFormat) -> Bool { other as? Self == self }
}

/// The tensors of one linear module in a checkpoint.
struct ModuleTensors {
    let checkpoint: Checkpoint
    let module: String
    /// Of V.
    let rows: Int
    let columns: Int

    func name(_ part: String) -> String { "\(module).\(part)" }

    subscript(part: String) -> TensorView? { checkpoint[name(part)] }

    /// - Throws: `LoadError` `.missing` that names the tensor.
    func required(_ part: String) throws(LoadError) -> TensorView { try checkpoint.tensor(name(part)) }
}
