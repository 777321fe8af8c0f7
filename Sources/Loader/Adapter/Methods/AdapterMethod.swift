import DoraText

/// One of the kinds of adapter that merge exactly: what its configuration says, how its tensors are called, and the
/// update that they make of a module.
protocol AdapterMethod: Sendable {
    static var vocabulary: MethodVocabulary { get }
    /// - Throws: `LoadError` for options that PEFT refuses or that would be served wrongly.
    init(_ fields: JSONFields) throws(LoadError)
    /// - Throws: `LoadError` for tensors that are missing, of another shape, or not finite.
    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate
    func warnings(_ configuration: AdapterConfiguration) -> [LoadWarning]
}

extension AdapterMethod {
    func warnings(_ configuration: AdapterConfiguration) -> [LoadWarning] { [] }
}

/// The words of a method.
struct MethodVocabulary: Sendable {
    /// As `adapter_config.json` spells it.
    let peftType: String
    let title: String
    /// Keys that the method reads, beside those of every adapter.
    var read: Set<String> = []
    /// Keys that change nothing once training is over, whatever their value.
    var harmless: Set<String> = []
    /// Keys that change the mathematics when they are set.
    var refused: [(key: String, problem: String, advice: String)] = []
    /// Nil where modules have no rank.
    var defaultRank: Int?
    /// The key of alpha; nil where there is none.
    var alpha: String?
    var isDoRA = false
    /// Whether names in `target_modules` match without a dot before them.
    var matchesEndings = false
    /// What a missing `target_modules` means for Llamas.
    var defaultTargets = ["q_proj", "v_proj"]
    /// Names of the parameters of an adapted module, the first of which errors name; empty for LoRA's own.
    var parameters: [String] = []
    /// Parameters that all modules share.
    var shared: [String] = []

    static let methods: [any AdapterMethod.Type] = [
        LoRA.self, PaperDoRA.self, IA3.self, LoHa.self, LoKr.self, VeRA.self, OFT.self,
    ]
}

extension AdapterAssembly {
    /// A parameter of a module, of exactly this shape and finite.
    func parameter(
        _ name: String, of module: ModuleInventory.Module, shape: [Int]
    ) throws(LoadError) -> [Float] {
        guard let tensor = try optionalParameter(name, of: module) else {
            throw error(
                .missing, module, .parameter(name),
                "the file holds no such tensor, though it adapts the module",
                advice: "save the adapter again")
        }
        return try Self.numbers(tensor, shape: shape)
    }

    /// A matrix of a module, if it is there, of whatever shape.
    func optionalParameter(
        _ name: String, of module: ModuleInventory.Module
    ) throws(LoadError) -> TensorView? {
        guard let tensor = tensors[module.name, .parameter(name)] else { return nil }
        guard tensor.count > 0, tensor.shape.count == 2 || tensor.shape.count == 1 else {
            throw Self.sharded(tensor)
        }
        return tensor
    }

    /// A module that only linear layers can be.
    func requireLinear(_ module: ModuleInventory.Module, _ title: String) throws(LoadError) {
        guard module.kind != .linear else { return }
        throw LoadError(
            .unsupported, file: configuration.file, field: "target_modules",
            "\(title) of the embedding \(module.name) is not supported", advice: "train linear layers only")
    }
}
