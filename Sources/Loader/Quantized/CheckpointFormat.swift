import DoraText

/// How checkpoints hold the linear layers that a library of the hub has quantized. One file each, and a row of
/// `QuantizationConfiguration.formats`.
protocol CheckpointFormat: Equatable, Sendable {
    /// `quant_method` of `config.json`.
    static var method: String { get }
    /// Whether the library also quantizes 16-bit weights when it loads them, and `--quantize` does the same.
    static var quantizesOnLoad: Bool { get }
    /// The file that the library kept its configuration in before `config.json` had it.
    static var ownFile: String? { get }
    /// Whether quantizing moves scales from the inputs of matrices into what is before them: V is then no approximation of
    /// the matrix that the model had.
    static var scalesInputs: Bool { get }
    /// What stands behind a module's name in the names of a quantized matrix's tensors, `weight` aside.
    static var parts: [String] { get }

    /// Reads `quantization_config`.
    init(_ fields: JSONFields) throws(LoadError)
    /// V of a linear module; nil where the checkpoint holds it in floats.
    /// - Throws: `LoadError` naming the tensor that does not fit the others.
    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)?
    /// Whether a tensor that no module has may be left out.
    func hasNoEffect(_ tensor: TensorView) throws(LoadError) -> Bool
}

extension CheckpointFormat {
    static var quantizesOnLoad: Bool { false }
    static var ownFile: String? { nil }
    static var scalesInputs: Bool { false }

    /// Scales of what is kept of queries, keys and values, which are kept as they are here.
    func hasNoEffect(_ tensor: TensorView) throws(LoadError) -> Bool {
        ["q", "k", "v"].contains { side in
            ["scale", "zero_point"].contains { tensor.name.hasSuffix(".\(side)_\($0)") }
        }
    }

    func isEqual(to other: any CheckpointFormat) -> Bool { other as? Self == self }
}

/// The tensors of one linear module in a checkpoint.
struct ModuleTensors {
    let checkpoint: Checkpoint
    let module: String
    /// Of V.
    let rows: Int
    let columns: Int
    /// Stands between the module's name and the part's; see `PackedFile.original`.
    var infix = ""

    func name(_ part: String) -> String { "\(module).\(infix)\(part)" }

    /// The module's name as configurations may have it.
    var spellings: [String] { [MultimodalNames.plain, .inner, .outer].map { $0.spelled(module) } }

    subscript(part: String) -> TensorView? { checkpoint[name(part)] }

    /// - Throws: `LoadError` `.missing` that names the tensor.
    func required(_ part: String) throws(LoadError) -> TensorView { try checkpoint.tensor(name(part)) }
}
