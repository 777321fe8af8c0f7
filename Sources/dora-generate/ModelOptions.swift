import ArgumentParser
import DoraLoader
import DoraRuntime
import DoraServe
import DoraText

extension Quantization: ExpressibleByArgument {}
extension StorageOptions.Weights: ExpressibleByArgument {}
extension StorageOptions.Merged: ExpressibleByArgument {}
extension StorageOptions.Form: ExpressibleByArgument {}
extension StorageOptions.Head: ExpressibleByArgument {}
extension ModelSettings.Cache: ExpressibleByArgument {}
extension ModelSettings.Activations: ExpressibleByArgument {}

/// The flags that say which model to run and how to hold it.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The base model: a folder in the Hugging Face layout, a GGUF file, a file that dora-pack wrote, org/name[@revision], or ollama:NAME[:TAG].",
            discussion: """
                An id is looked up in the Hugging Face cache, a name in Ollama's store; nothing is downloaded. Of a GGUF \
                file in parts, any part. Default: $DORA_MODEL, else the \
                base that the adapter names, else the demo model.
                """,
            valueName: "path|id"), completion: .file())
    var model: String?

    @Option(
        name: .customLong("adapter"),
        help: ArgumentHelp(
            "A PEFT adapter (DoRA, LoRA, (IA)³, LoHa, LoKr, VeRA or OFT): its folder, a trainer's output that holds one, or "
                + "org/name[@revision].",
            discussion: """
                PATH*0.5+PATH is the sum of several LoRA adapters, each with a factor if given one. With --jsonl and \
                --interactive, which name adapters, it may be given several times, as [NAME=]PATH.
                """,
            valueName: "path|id"), completion: .adapters)
    var adapters: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --jsonl and --interactive: folder whose adapters are loaded when they are named.",
            valueName: "dir"), completion: .directory)
    var adapterRoot: String?

    @Option(
        help: ArgumentHelp(
            "Chat template to use in place of the adapter's and the model's.", valueName: "file"),
        completion: .file())
    var chatTemplate: String?

    @Option(
        help: ArgumentHelp(
            "Tokenizer and chat template to use in place of the model's: a folder or file that holds them, or an id.",
            valueName: "path|id"), completion: .file())
    var tokenizer: String?

    @Option(help: ArgumentHelp("Factor of what the adapter changes.", valueName: "number"))
    var adapterScale: Float = 1

    @Option(
        help: ArgumentHelp(
            "How the adapter acts: merged into the base's matrices, factored beside them, or auto, which merges unless a "
                + "step would then read over 5 % more than the base's."))
    var adapterForm: StorageOptions.Form = .auto

    @Flag(help: "Serve adapters of other bases on an AWQ model, too, whose weights are scaled otherwise.")
    var acceptOtherBase = false

    @Option(help: ArgumentHelp("Most tokens of prompt and completion. Default: what the model was made for."))
    var context: Int?

    @Option(help: "Quantize a 16- or 32-bit checkpoint as bitsandbytes would.")
    var quantize: Quantization?

    @Option(help: "How linear layers are stored: native keeps the checkpoint's own codes.")
    var weights: StorageOptions.Weights = .native

    @Option(
        help:
            "How adapted matrices are stored: auto is q8 over an 8- or 4-bit base, else the base's own type.")
    var merged: StorageOptions.Merged = .auto

    @Option(help: "How the output head is stored: auto is q8 when the linear layers are quantized.")
    var head: StorageOptions.Head = .auto

    @Option(
        help:
            "How finely integer weights see activations: 16 bits, 8, or auto, which is 8 with 16 where that shows."
    )
    var activations: ModelSettings.Activations = .auto

    @Option(
        help:
            "How keys and values are cached: q8 takes half the memory of f16 and is faster on long texts. Default: f32 with --weights f32, else f16."
    )
    var kv: ModelSettings.Cache?

    @Option(
        help: ArgumentHelp(
            "Tokens to guess in a step, which changes no answer: off, or at most so many. Default: 15.",
            valueName: "off|n"))
    var speculate: String?

    @Option(help: "Threads to compute with. Default: the cores that this process may use.")
    var threads: Int?

    /// The first, which is the only one where there is one prompt.
    var adapter: String? { adapters.first }

    /// Whether anything but an adapter was named.
    var isGiven: Bool {
        model != nil || adapterRoot != nil || chatTemplate != nil || tokenizer != nil || context != nil
            || quantize != nil || acceptOtherBase
            || kv != nil || speculate != nil
            || threads != nil || weights != .native
            || merged != .auto || adapterScale != 1 || head != .auto || activations != .auto
            || adapterForm != .auto
    }

    func validate() throws {
        if !adapterScale.isFinite { throw ValidationError("--adapter-scale must be a number") }
        if adapterScale != 1, adapter == nil { throw ValidationError("--adapter-scale needs --adapter") }
        if let speculate, GuessLimit.read(speculate) == nil {
            throw ValidationError("--speculate must be \(GuessLimit.wanted)")
        }
        if let context, context < 1 { throw ValidationError("--context must be at least 1") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1...1024") }
    }

    /// Says on standard error which model was chosen, if none was given.
    /// - Throws: `LoadError`, `OptionProblem`.
    func settings(environment: [String: String]) throws -> ModelSettings {
        let places = ModelPlaces(environment: environment)
        let sum = try adapter.map { text in
            try AdapterSum(text, scale: adapterScale).mapFolders { folder throws(LoadError) in
                try places.adapter(folder)
            }
        }
        return try settings(
            adapter: sum?.description, folders: sum?.parts.map(\.folder) ?? [], places, environment)
    }

    /// The same for an engine, whose requests name adapters. One alone is the default.
    /// - Throws: `LoadError`, `OptionProblem`.
    func engineSettings(environment: [String: String]) throws -> (
        model: ModelSettings, engine: EngineSettings
    ) {
        let places = ModelPlaces(environment: environment)
        var engine = EngineSettings()
        engine.adapters = try EngineSettings.adapters(adapters, scale: adapterScale, in: places)
        engine.root = try adapterRoot.map { path throws(LoadError) in try AdapterRoot(path) }
        engine.defaultAdapter = engine.adapters.count == 1 ? engine.adapters.first?.name : nil
        let model = try settings(
            adapter: nil, folders: try EngineSettings.folders(engine.adapters), places, environment)
        return (model, engine)
    }

    private func settings(
        adapter: String?, folders: [String], _ places: ModelPlaces, _ environment: [String: String]
    ) throws -> ModelSettings {
        let base = try BaseChoice(
            given: model ?? environment["DORA_MODEL"], adapters: folders, places: places)
        if let notice = base.notice { Terminal.note(notice) }
        var settings = ModelSettings(
            model: base.path, adapter: adapter, quantization: quantize,
            storage: StorageOptions(weights: weights, merged: merged, head: head, form: adapterForm),
            cache: kv,
            activations: activations, context: context, threads: threads, chatTemplate: chatTemplate,
            tokenizer: try tokenizer.map { text throws(LoadError) in try places.tokenizer(text) })
        settings.acceptsOtherBase = acceptOtherBase
        settings.guesses = speculate.flatMap(GuessLimit.read) ?? settings.guesses
        return settings
    }
}
