import DoraLoader
package import DoraRuntime
import DoraText
import Logging

/// Everything that `dora-serve` was told, checked before any model is read.
package struct ServerSettings: Sendable {
    package var model: ModelSettings
    /// Why that model; nil if it was given.
    package var modelReason: String?
    package var engine = EngineSettings()
    package var addresses: [ListenAddress] = []
    /// Who may connect to Unix sockets, as `chmod` has it.
    package var socketMode: UInt32 = 0o600
    package var limits = ConnectionLimits()
    package var drainTimeout = Duration.seconds(30)
    package var drainDelay = Duration.zero
    package var http = HTTPSettings(model: "")
    package var admission = Admission()
    /// The tokens' file, if its first line and quotes make a token's JSON.
    package var tokenFile: String?
    var logLevel = Logger.Level.info
    var manager: ServiceManager?

    /// - Throws: `OptionProblem`, `LoadError`.
    package init(flags: [ServerOption: [String]], environment: [String: String], file: String?) async throws {
        let options = try await OptionReader(flags: flags, environment: environment, file: file)
        let places = ModelPlaces(environment: environment)
        let scale =
            try options.value(.adapterScale, "a number") { text in
                Float(text).flatMap { $0.isFinite ? $0 : nil }
            } ?? 1
        engine.adapters = try EngineSettings.adapters(options.strings(.adapter), scale: scale, in: places)
        let base = try BaseChoice(
            given: options.string(.model), adapters: try EngineSettings.folders(engine.adapters),
            places: places)
        modelReason = base.reason
        model = ModelSettings(
            model: base.path,
            quantization: try options.choice(.quantize, as: Quantization.self),
            storage: StorageOptions(
                weights: try options.choice(.weights, as: StorageOptions.Weights.self) ?? .native,
                merged: try options.choice(.merged, as: StorageOptions.Merged.self) ?? .auto,
                head: try options.choice(.head, as: StorageOptions.Head.self) ?? .auto,
                form: try options.choice(.adapterForm, as: StorageOptions.Form.self) ?? .auto),
            cache: try options.choice(.kv, as: ModelSettings.Cache.self),
            activations: try options.choice(.activations, as: ModelSettings.Activations.self) ?? .auto,
            context: try options.int(.context, in: 1...Int.max),
            threads: try options.int(.threads, in: 1...1024),
            chatTemplate: options.string(.chatTemplate),
            tokenizer: try options.string(.tokenizer).map { text throws(LoadError) in
                try places.tokenizer(text)
            })
        model.guesses = try options.value(.speculate, GuessLimit.wanted, GuessLimit.read) ?? model.guesses
        model.acceptsOtherBase = try options.flag(.acceptOtherBase)
        try readRoot(options)
        addresses = try options.addresses(.listen)
        http = try HTTPSettings(options, model: base.path, adapters: engine.adapters.map(\.name))
        if addresses.isEmpty { addresses = [.standard] }
        socketMode =
            try options.value(.socketMode, "a mode like 660") { text in
                UInt32(text, radix: 8).flatMap { $0 <= 0o777 && $0 & 0o600 == 0o600 ? $0 : nil }
            } ?? socketMode
        manager = ServiceManager(environment: environment)
        try readLimits(options)
        try readTokens(options)
        logLevel = try options.choice(.logLevel, as: Logger.Level.self) ?? logLevel
    }

    private mutating func readTokens(_ options: OptionReader) throws {
        if let file = options.string(.adminTokenFile) {
            admission.administrators = try TokenSet(file: file, option: .adminTokenFile)
        }
        guard let file = options.string(.tokenFile) else { return }
        let tokens = try TokenSet.lines(of: file, option: .tokenFile)
        admission.clients = TokenSet(tokens)
        let isPlain = tokens[0].allSatisfy { byte in
            32..<127 ~= byte && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        }
        // The command takes the first line as it is.
        let line = try MappedFile.contents(of: file, atMost: 1 << 16).prefix { $0 != UInt8(ascii: "\n") }
        tokenFile = isPlain && Array(line) == tokens[0] ? file : nil
    }

    private mutating func readRoot(_ options: OptionReader) throws {
        let adapters = engine.adapters
        engine.root = try options.string(.adapterRoot).map { path throws(LoadError) in
            try AdapterRoot(path)
        }
        engine.defaultAdapter =
            options.string(.defaultAdapter) ?? (adapters.count == 1 ? adapters[0].name : nil)
        guard let name = engine.defaultAdapter, !adapters.contains(where: { $0.name == name }) else { return }
        let option = "--default-adapter"
        let folder: String?
        do throws(EngineError) {
            try AdapterName.check(name)
            folder = try engine.root?.folder(name)
        } catch { throw OptionProblem(option: option, problem: error.message) }
        if folder == nil { throw OptionProblem(option: option, problem: "there is no adapter '\(name)'") }
    }

    private mutating func readLimits(_ options: OptionReader) throws(OptionProblem) {
        engine.maximumSequences =
            try options.int(.maximumSequences, in: 1...256) ?? engine.maximumSequences
        engine.maximumQueue = try options.int(.maximumQueue, in: 1...1_000_000) ?? engine.maximumQueue
        engine.memory = try options.memory(.memory) ?? engine.memory
        engine.keyValueMemory = try options.memory(.keyValueMemory) ?? engine.keyValueMemory
        limits.maximumConnections =
            try options.int(.maximumConnections, in: 1...100_000) ?? limits.maximumConnections
        limits.maximumInFlight = try options.int(.maximumInFlight, in: 1...100_000) ?? limits.maximumInFlight
        limits.maximumLine = try options.int(.maximumLine, in: 256...(1 << 30)) ?? limits.maximumLine
        limits.readTimeout = try options.seconds(.readTimeout) ?? limits.readTimeout
        limits.idleTimeout = try options.seconds(.idleTimeout) ?? limits.idleTimeout
        drainTimeout = try options.seconds(.drainTimeout) ?? drainTimeout
        drainDelay = try options.seconds(.drainDelay, from: 0) ?? drainDelay
    }
}
