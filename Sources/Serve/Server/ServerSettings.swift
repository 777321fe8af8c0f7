import DoraLoader
package import DoraRuntime
import DoraText
import Logging

/// Everything that `dora-serve` was told, checked before any model is read.
package struct ServerSettings: Sendable {
    package var model: ModelSettings
    /// Why that model; nil if it was given.
    package var modelReason: String?
    package var adapters: [(name: String, folder: String)] = []
    package var root: AdapterRoot?
    package var defaultAdapter: String?
    package var addresses: [ListenAddress] = []
    package var maximumSequences = 16
    package var maximumQueue = 256
    package var memory = MemorySize.percent(50)
    package var keyValueMemory = MemorySize.percent(25)
    package var limits = ConnectionLimits()
    package var drainTimeout = Duration.seconds(30)
    package var token: [UInt8]?
    /// The token's file, if `cat` and quotes make the token's JSON of it.
    package var tokenFile: String?
    var logLevel = Logger.Level.info

    /// - Throws: `OptionProblem`, `LoadError`.
    package init(flags: [ServerOption: [String]], environment: [String: String], file: String?) async throws {
        let options = try await OptionReader(flags: flags, environment: environment, file: file)
        let places = ModelPlaces(environment: environment)
        adapters = try Self.adapters(options, places)
        let base = try BaseChoice(
            given: options.string(.model),
            adapters: try adapters.flatMap { try AdapterSum($0.folder).parts.map(\.folder) }, places: places)
        modelReason = base.reason
        model = ModelSettings(
            model: base.path,
            quantization: try options.choice(.quantize, as: Quantization.self),
            storage: StorageOptions(
                weights: try options.choice(.weights, as: StorageOptions.Weights.self) ?? .native,
                merged: try options.choice(.merged, as: StorageOptions.Merged.self) ?? .auto,
                head: try options.choice(.head, as: StorageOptions.Head.self) ?? .auto),
            cache: try options.choice(.kv, as: ModelSettings.Cache.self),
            activations: try options.choice(.activations, as: ModelSettings.Activations.self) ?? .auto,
            context: try options.int(.context, in: 1...Int.max),
            threads: try options.int(.threads, in: 1...1024),
            chatTemplate: options.string(.chatTemplate),
            tokenizer: try options.string(.tokenizer).map { text throws(LoadError) in
                try places.tokenizer(text)
            })
        try readRoot(options)
        for text in options.strings(.listen) {
            do { addresses.append(try ListenAddress(text)) } catch {
                throw OptionProblem(option: "--listen", problem: "\(error)")
            }
        }
        if addresses.isEmpty { addresses = [.standard] }
        try readLimits(options)
        if let file = options.string(.tokenFile) {
            let bytes = try MappedFile.contents(of: file, atMost: 4096)
            let token = bytes.reversed().drop { $0 == 10 || $0 == 13 || $0 == 32 }.reversed()
            guard token.count >= 8 else {
                throw OptionProblem(
                    option: "--token-file", problem: "\(file) holds no token of 8 or more bytes")
            }
            self.token = Array(token)
            let isPlain = token.allSatisfy { byte in
                32..<127 ~= byte && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            }
            let ending = bytes.dropFirst(token.count)
            tokenFile = isPlain && ending.allSatisfy { $0 == 10 } ? file : nil
        }
        logLevel = try options.choice(.logLevel, as: Logger.Level.self) ?? logLevel
    }

    private static func adapters(
        _ options: OptionReader, _ places: ModelPlaces
    ) throws -> [(name: String, folder: String)] {
        var adapters: [(name: String, folder: String)] = []
        let scale =
            try options.value(.adapterScale, "a number") { text in
                Float(text).flatMap { $0.isFinite ? $0 : nil }
            } ?? 1
        for text in options.strings(.adapter) {
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

    private mutating func readRoot(_ options: OptionReader) throws {
        root = try options.string(.adapterRoot).map { path throws(LoadError) in try AdapterRoot(path) }
        defaultAdapter = options.string(.defaultAdapter) ?? (adapters.count == 1 ? adapters[0].name : nil)
        guard let name = defaultAdapter, !adapters.contains(where: { $0.name == name }) else { return }
        let option = "--default-adapter"
        let folder: String?
        do throws(EngineError) {
            try AdapterName.check(name)
            folder = try root?.folder(name)
        } catch { throw OptionProblem(option: option, problem: error.message) }
        if folder == nil { throw OptionProblem(option: option, problem: "there is no adapter '\(name)'") }
    }

    private mutating func readLimits(_ options: OptionReader) throws(OptionProblem) {
        maximumSequences = try options.int(.maximumSequences, in: 1...256) ?? maximumSequences
        maximumQueue = try options.int(.maximumQueue, in: 1...1_000_000) ?? maximumQueue
        memory = try options.memory(.memory) ?? memory
        keyValueMemory = try options.memory(.keyValueMemory) ?? keyValueMemory
        limits.maximumConnections =
            try options.int(.maximumConnections, in: 1...100_000) ?? limits.maximumConnections
        limits.maximumInFlight = try options.int(.maximumInFlight, in: 1...100_000) ?? limits.maximumInFlight
        limits.maximumLine = try options.int(.maximumLine, in: 256...(1 << 30)) ?? limits.maximumLine
        limits.readTimeout = try options.seconds(.readTimeout) ?? limits.readTimeout
        limits.idleTimeout = try options.seconds(.idleTimeout) ?? limits.idleTimeout
        drainTimeout = try options.seconds(.drainTimeout) ?? drainTimeout
    }
}
