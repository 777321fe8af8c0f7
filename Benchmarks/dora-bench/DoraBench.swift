import ArgumentParser
import DoraLoader
import DoraRuntime
import DoraTensor
import FoundationEssentials

extension StorageOptions.Form: ExpressibleByArgument {}
extension StorageOptions.Head: ExpressibleByArgument {}
extension Quantization: ExpressibleByArgument {}
extension StorageOptions.Weights: ExpressibleByArgument {}
extension ModelSettings.Cache: ExpressibleByArgument {}
extension ModelSettings.Activations: ExpressibleByArgument {}

/// Integers between commas.
struct Counts: ExpressibleByArgument {
    let values: [Int]

    init(_ values: [Int]) { self.values = values }

    init?(argument: String) {
        let words = argument.split(separator: ",").map { Int($0) }
        let values = words.compactMap { $0 }.filter { $0 >= 0 }
        guard values.count == words.count else { return nil }
        self.values = values
    }
}

@main struct DoraBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-bench",
        abstract:
            "Measure a model against the limits of this machine; one JSON object goes to standard output.",
        discussion: """
            Without --model only the limits are measured. Exit status 1: a decode step took less time than reading its \
            bytes, so that the measurement cannot be right.
            """)

    @Option(help: ArgumentHelp("A base, as dora-generate takes it.", valueName: "path"))
    var model: String?

    @Option(help: ArgumentHelp("An adapter to load and to alternate with the base.", valueName: "dir"))
    var adapter: String?

    @Option(help: "How the adapter acts: merged, factored or auto.")
    var adapterForm: StorageOptions.Form = .auto

    @Option(
        help: ArgumentHelp(
            "How many adapters the sequences of a decode step have in turn: copies of the one, each with memory of its own."
        ))
    var adapterCopies = 1

    @Option(help: "Quantize a 16- or 32-bit checkpoint as bitsandbytes would.")
    var quantize: Quantization?

    @Option(help: "How linear layers are stored.")
    var weights: StorageOptions.Weights = .native

    @Option(help: "How finely integer weights see activations.")
    var activations: ModelSettings.Activations = .auto

    @Option(help: "How the output head is stored.")
    var head: StorageOptions.Head = .q8

    @Option(help: "How keys and values are cached. Default: f16.")
    var kv: ModelSettings.Cache?

    @Option(help: "Sequences of a decode step.")
    var batches = Counts([1])

    @Option(help: "Positions in the cache before the decode steps.")
    var contexts = Counts([0])

    @Option(help: "Tokens of a prefill; the adapted model takes the first of them only.")
    var prefills = Counts([])

    @Option(help: "Rounds of decode steps, in which base and adapted model alternate.")
    var rounds = 7

    @Option(help: "Timed steps of a round.")
    var steps = 8

    @Option(help: "Repetitions of each prefill.")
    var prefillRepeats = 3

    @Option(help: "Repetitions of the merge.")
    var mergeRepeats = 3

    @Option(help: "Threads. Default: the cores that this process may use.")
    var threads: Int?

    @Flag(help: "Drop the model's files from the page cache before it is loaded.")
    var cold = false

    func validate() throws {
        guard min(rounds, steps, prefillRepeats, mergeRepeats, adapterCopies) > 0 else {
            throw ValidationError("rounds, steps and repetitions must be at least 1")
        }
        guard !batches.values.contains(0), !prefills.values.contains(0) else {
            throw ValidationError("a batch and a prefill have at least one sequence and one token")
        }
    }

    func run() throws {
        var report = Report()
        if let model {
            let places = ModelPlaces(environment: ProcessInfo.processInfo.environment)
            try measure(try places.base(model), into: &report)
        } else {
            let compute = try Compute(threads: threads ?? Compute.usableCores)
            report.describe(compute, try MachineLimits(on: compute))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
        let impossible = (report.decode ?? []).filter { $0.share.median > 1 }
        if !impossible.isEmpty { throw ImpossibleShare(figures: impossible) }
    }

    private func measure(_ model: String, into report: inout Report) throws {
        if cold { report.droppedFiles = try PageCache.drop(model) }
        let settings = ModelSettings(
            model: model, quantization: quantize,
            storage: StorageOptions(weights: weights, head: head, form: adapterForm),
            cache: kv, activations: activations, threads: threads)
        let loaded = try LoadedBase(settings)
        report.load = Report.Load(loaded)
        let bench = try ModelBench(
            loaded, longest: max(contexts.values.max() ?? 0, prefills.values.max() ?? 0) + steps + 1,
            widest: batches.values.max() ?? 1)
        report.memory = try bench.memory()
        // From here on the peak is no longer the model's own.
        let limits = try MachineLimits(on: loaded.compute)
        report.describe(loaded.compute, limits)
        var models = [ModelBench.Model(name: "base", weights: [loaded.model.weights])]
        if let adapter {
            let (weights, figure) = try bench.load(adapter, copies: adapterCopies, repeats: mergeRepeats)
            models.append(ModelBench.Model(name: "adapted", weights: weights))
            report.merge = figure
        }
        report.prefill = try prefills.values.enumerated().flatMap { index, tokens in
            try bench.prefill(
                tokens, of: index == 0 ? models : [models[0]], repeats: prefillRepeats, limits: limits)
        }
        report.decode = try contexts.values.flatMap { context in
            try batches.values.flatMap { batch in
                try bench.decode(
                    batch: batch, context: context, of: models, rounds: rounds, steps: steps, limits: limits)
            }
        }
    }
}

/// Steps that took less time than reading their bytes: what was measured cannot be what was meant.
struct ImpossibleShare: Error, CustomStringConvertible {
    let figures: [Report.Decode]

    var description: String {
        figures.map {
            "\($0.weights), batch \($0.batch), context \($0.context): \($0.share.median) of the bandwidth"
        }.joined(separator: "\n")
    }
}
