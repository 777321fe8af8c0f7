import ArgumentParser
import DoraLoader
import DoraRuntime
import DoraServe
import DoraText

extension Quantization: ExpressibleByArgument {}
extension StorageOptions.Weights: ExpressibleByArgument {}
extension StorageOptions.Merged: ExpressibleByArgument {}
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
            valueName: "path|id"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "A PEFT adapter (DoRA, LoRA, (IA)³, LoHa, LoKr, VeRA or OFT): its folder, a trainer's output that holds one, or "
                + "org/name[@revision].",
            discussion: "PATH*0.5+PATH is the sum of several LoRA adapters, each with a factor if given one.",
            valueName: "path|id"))
    var adapter: String?

    @Option(
        help: ArgumentHelp(
            "Chat template to use in place of the adapter's and the model's.", valueName: "file"))
    var chatTemplate: String?

    @Option(
        help: ArgumentHelp(
            "Tokenizer and chat template to use in place of the model's: a folder or file that holds them, or an id.",
            valueName: "path|id"))
    var tokenizer: String?

    @Option(help: ArgumentHelp("Factor of what the adapter changes.", valueName: "number"))
    var adapterScale: Float = 1

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

    @Option(help: "How keys and values are cached. Default: f32 with --weights f32, else f16.")
    var kv: ModelSettings.Cache?

    @Option(help: "Threads to compute with. Default: the cores that this process may use.")
    var threads: Int?

    /// Whether anything but an adapter was named.
    var isGiven: Bool {
        model != nil || chatTemplate != nil || tokenizer != nil || context != nil || quantize != nil
            || kv != nil
            || threads != nil || weights != .native
            || merged != .auto || adapterScale != 1 || head != .auto || activations != .auto
    }

    func validate() throws {
        if !adapterScale.isFinite { throw ValidationError("--adapter-scale must be a number") }
        if adapterScale != 1, adapter == nil { throw ValidationError("--adapter-scale needs --adapter") }
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
        let base = try BaseChoice(
            given: model ?? environment["DORA_MODEL"], adapters: sum?.parts.map(\.folder) ?? [],
            places: places)
        if let notice = base.notice { Terminal.note(notice) }
        return ModelSettings(
            model: base.path, adapter: sum?.description, quantization: quantize,
            storage: StorageOptions(weights: weights, merged: merged, head: head), cache: kv,
            activations: activations, context: context, threads: threads, chatTemplate: chatTemplate,
            tokenizer: try tokenizer.map { text throws(LoadError) in try places.tokenizer(text) })
    }
}
