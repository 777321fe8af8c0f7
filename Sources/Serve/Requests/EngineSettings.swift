package import DoraLoader
package import DoraRuntime
import DoraText

/// What an engine over a base is told: its adapters, and how much it may hold and run.
package struct EngineSettings: Sendable {
    package var adapters: [(name: String, folder: String)] = []
    package var root: AdapterRoot?
    /// Of requests that name none; nil for the base.
    package var defaultAdapter: String?
    package var maximumSequences = 16
    package var maximumQueue = 256
    /// Of merged matrices.
    package var memory = MemorySize.percent(50)
    package var keyValueMemory = MemorySize.percent(25)

    package init() {}

    /// - Throws: `RuntimeError.contextTooLong`; `ComputeError` when memory runs out.
    package func engine(
        over base: LoadedBase, notice: @escaping @Sendable (AdapterNotice) -> Void
    ) throws -> Engine {
        let free = max(0, MemorySize.free() - base.model.weights.mappedBytes)
        var options = Engine.Options()
        options.maximumSequences = maximumSequences
        options.maximumQueue = maximumQueue
        options.context = base.settings.context
        options.keyValues = base.settings.keyValueFormat
        options.guesses = base.settings.guesses
        options.secondTerms = base.settings.activations.secondTerms
        options.keyValueBytes = keyValueMemory.bytes(ofFree: free)
        options.adapterBytes = memory.bytes(ofFree: free)
        options.adapters = adapters
        options.root = root
        options.standard = defaultAdapter
        options.notice = notice
        return try Engine(base: base.model, languages: base.languages, options: options, on: base.compute)
    }

    /// Adapters as the command line spells them: `PATH`, after whose folder it is named, or `NAME=PATH`.
    /// - Parameter scale: factor of what each changes.
    /// - Throws: `OptionProblem` for names that are none or stand twice, `LoadError` for folders that are not there.
    package static func adapters(
        _ texts: [String], scale: Float, in places: ModelPlaces
    ) throws -> [(name: String, folder: String)] {
        var adapters: [(name: String, folder: String)] = []
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            let hasName = parts.count == 2 && AdapterName.isValid(parts[0])
            let place = hasName ? parts[1] : text
            let ownName = ModelPlaces.hubID(place)?.name ?? place.split(separator: "/").last.map(String.init)
            let name = hasName ? parts[0] : ownName ?? ""
            guard AdapterName.isValid(name) else {
                throw OptionProblem(
                    option: "--adapter", problem: "'\(name)' cannot be a name; write NAME=PATH")
            }
            guard !adapters.contains(where: { $0.name == name }) else {
                throw OptionProblem(
                    option: "--adapter", problem: "two adapters are called '\(name)'; write NAME=PATH")
            }
            let sum = try AdapterSum(place, scale: scale).mapFolders { folder throws(LoadError) in
                try places.adapter(folder)
            }
            adapters.append((name, sum.description))
        }
        return adapters
    }

    /// The folders of all adapters, those of sums one by one.
    package static func folders(_ adapters: [(name: String, folder: String)]) throws -> [String] {
        try adapters.flatMap { try AdapterSum($0.folder).parts.map(\.folder) }
    }
}
