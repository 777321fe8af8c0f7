import ArgumentParser
import DoraLoader
import DoraRuntime
import DoraTensor
import FoundationEssentials

extension Quantization: ExpressibleByArgument {}
extension StorageOptions.Weights: ExpressibleByArgument {}
extension StorageOptions.Merged: ExpressibleByArgument {}
extension StorageOptions.Head: ExpressibleByArgument {}
extension StorageOptions.Form: ExpressibleByArgument {}
extension ModelSettings.Cache: ExpressibleByArgument {}
extension ModelSettings.Activations: ExpressibleByArgument {}

@main struct DoraAccuracy: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-accuracy",
        abstract:
            "Compare a model as stored with its F32 path on a text; one JSON object goes to standard output.",
        discussion: "The options are those of dora-generate. Paragraphs are texts of their own.")

    @Option(help: "A base.") var model: String
    @Option(help: "The base of the F32 path, not quantized. Default: --model, quantized alike.")
    var reference: String?
    @Option(help: "An adapter.") var adapter: String?
    @Option(help: "A file of paragraphs.") var text: String
    @Option var quantize: Quantization?
    @Option var weights: StorageOptions.Weights = .native
    @Option var merged: StorageOptions.Merged = .auto
    @Option var head: StorageOptions.Head = .auto
    @Option var adapterForm: StorageOptions.Form = .auto
    @Option var activations: ModelSettings.Activations = .auto
    @Option var kv: ModelSettings.Cache?
    @Flag(help: "Compare with the F32 arithmetic on the weights as they are stored, not on the base's V.")
    var asStored = false

    private struct Figures: Encodable {
        let tokens, equalTokens: Int
        let divergence, entropy, exactPerplexity, storedPerplexity: Double
    }

    func run() throws {
        var settings = ModelSettings(
            model: model, adapter: adapter, quantization: quantize,
            storage: StorageOptions(weights: weights, merged: merged, head: head, form: adapterForm),
            cache: kv,
            activations: activations)
        let stored = try LoadedModel(settings)
        if !asStored {
            settings.storage = StorageOptions(weights: .f32, merged: .f32)
            settings.cache = .f32
        }
        if let reference {
            settings.model = reference
            settings.quantization = nil
        }
        let exact = try LoadedModel(settings)
        guard let tokenizer = exact.tokenizer else {
            throw ValidationError("\(settings.model) has no tokenizer")
        }
        let compute = try Compute(threads: Compute.usableCores)
        let found = try Divergence(
            of: stored.weights, stored.settings,
            from: asStored ? exact.weights.decoded(on: compute) : exact.weights, exact.settings,
            exact.configuration,
            texts: Divergence.paragraphs(
                String(contentsOfFile: text, encoding: .utf8), tokenizer, end: exact.language.eosIDs.first),
            on: compute)
        let figures = Figures(
            tokens: found.tokens, equalTokens: found.equalTokens, divergence: found.mean,
            entropy: found.entropy,
            exactPerplexity: found.exactPerplexity, storedPerplexity: found.storedPerplexity)
        print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
    }
}
