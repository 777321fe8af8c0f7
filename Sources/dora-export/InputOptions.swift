import ArgumentParser
import DoraLoader
import DoraServe
import DoraTensor
import DoraText
import FoundationEssentials

/// The flags that say what is exported.
struct InputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The base model: a folder in the Hugging Face layout, a GGUF file, a file that dora-pack wrote, org/name[@revision], or ollama:NAME[:TAG].",
            discussion: "Default: $DORA_MODEL, else the base that the adapter names.", valueName: "path|id"),
        completion: .file())
    var model: String?

    @Option(
        help: ArgumentHelp(
            "A PEFT adapter (DoRA, LoRA, (IA)³, LoHa, LoKr, VeRA or OFT): its folder, a trainer's output that holds one, or "
                + "org/name[@revision].",
            discussion: "PATH*0.5+PATH is the sum of several LoRA adapters, each with a factor if given one.",
            valueName: "path|id"), completion: .directory)
    var adapter: String?

    @Option(help: ArgumentHelp("Factor of what the adapter changes.", valueName: "number"))
    var adapterScale: Float = 1

    @Flag(help: "Take adapters of other bases on an AWQ model, too, whose weights are scaled otherwise.")
    var acceptOtherBase = false

    @Option(
        help:
            "Quantize a 16- or 32-bit checkpoint as bitsandbytes would, where the adapter was trained so.")
    var quantize: Quantization?

    @Option(
        help: ArgumentHelp(
            "Tokenizer and chat template in place of the model's: a folder or file that holds them, or an id.",
            valueName: "path|id"), completion: .file())
    var tokenizer: String?

    @Option(help: "Threads to compute with. Default: the cores that this process may use.")
    var threads: Int?

    func validate() throws {
        if !adapterScale.isFinite { throw ValidationError("--adapter-scale must be a number") }
        if adapterScale != 1, adapter == nil { throw ValidationError("--adapter-scale needs --adapter") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1...1024") }
    }

    /// Says on standard error which base was chosen, if none was given.
    /// - Throws: `LoadError`, `OptionProblem`.
    func mergedModel(on compute: Compute) throws -> MergedModel {
        let environment = ProcessInfo.processInfo.environment
        let places = ModelPlaces(environment: environment)
        let sum = try adapter.map { text in
            try AdapterSum(text, scale: adapterScale).mapFolders { folder throws(LoadError) in
                try places.adapter(folder)
            }
        }
        let base = try BaseChoice(
            given: model ?? environment["DORA_MODEL"], adapters: (sum?.parts ?? []).map(\.folder),
            places: places, demo: adapter == nil ? nil : BundledModel.find())
        if let notice = base.notice { Terminal.note(notice) }
        return try MergedModel(
            ModelFiles(base.path, tokenizer: try tokenizer.map(places.tokenizer)), adapter: sum,
            quantization: quantize, acceptsOtherBase: acceptOtherBase, on: compute)
    }
}
