import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

@testable import DoraServe

/// A server in this process over the fixture `gqa-f32`, on a port of its own.
final class TestServer: Sendable {
    let address: SocketAddress
    /// Where it speaks HTTP.
    let httpAddress: SocketAddress
    let state: ServerState
    let base: BaseModel
    private let group: ServiceGroup
    private let running: Task<Void, any Error>
    let compute: Compute
    let tokenizer: (any Tokenizer)?

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures").path

    init(
        limits: ConnectionLimits = ConnectionLimits(), token: String? = nil, administrator: String? = nil,
        http settings: HTTPSettings = HTTPSettings(model: "base"), drainDelay: Duration = .zero,
        drainTimeout: Duration = .seconds(120),
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        model: String = fixtures + "/bases/gqa-f32", storage: StorageOptions = StorageOptions(),
        _ change: (inout Engine.Options) -> Void = { _ in }
    ) async throws {
        let compute = try Compute(threads: 2)
        let base = try LoadedBase(ModelSettings(model: model, storage: storage, threads: 2)) { _ in }
        var options = Engine.Options()
        options.keyValueBytes = 64 << 20
        change(&options)
        let engine = try Engine(
            base: base.model, languages: base.languages, options: options, on: base.compute)
        let services = Mutex<ServiceGroup?>(nil)
        let state = ServerState(
            engine: engine, model: "test", limits: limits,
            admission: Admission(
                clients: token.map { TokenSet([Array($0.utf8)]) },
                administrators: administrator.map { TokenSet([Array($0.utf8)]) }),
            openAI: settings.options,
            logger: logger,
            hello: HelloResult(
                model: "test", default_adapter: options.standard,
                limits: HelloResult.Limits(
                    context: engine.context, max_sequences: options.maximumSequences,
                    max_queue: options.maximumQueue, max_inflight: limits.maximumInFlight,
                    max_line: limits.maximumLine)),
            requestDrain: {
                guard let group = services.withLock({ $0 }) else { return }
                Task { await group.triggerGracefulShutdown() }
            })
        let (addresses, continuation) = AsyncStream.makeStream(of: SocketAddress.self)
        let place = ListenAddress.tcp(host: "127.0.0.1", port: 0)
        let http = HTTPServer(HTTPAPI(state: state, settings: settings))
        let server = SocketServer(
            endpoints: [Endpoint.lines(place, state), http.endpoint(place)], state: state,
            drainDelay: drainDelay, drainTimeout: drainTimeout, group: .singleton
        ) { addresses in
            for address in addresses { continuation.yield(address) }
        }
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        var configuration = ServiceGroupConfiguration(
            services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)],
            logger: quiet)
        configuration.gracefulShutdownSignals = []
        let group = ServiceGroup(configuration: configuration)
        services.withLock { $0 = group }
        running = Task { try await group.run() }
        var iterator = addresses.makeAsyncIterator()
        guard let address = await iterator.next(), let httpAddress = await iterator.next() else {
            throw CancellationError()
        }
        self.address = address
        self.httpAddress = httpAddress
        self.state = state
        self.base = base.model
        self.group = group
        self.compute = compute
        tokenizer = base.languages.base.tokenizer
    }

    func connect() async throws -> TestConnection { try await TestConnection(address) }

    /// Drains, and waits for the end.
    func stop() async throws {
        await group.triggerGracefulShutdown()
        try await running.value
    }

    /// Waits for an end that something else asked for.
    func end() async throws { try await running.value }

    func statistics() async -> EngineStatistics {
        await withCheckedContinuation { continuation in
            state.engine.statistics { continuation.resume(returning: $0) }
        }
    }

    /// The weights of an adapter, or the base's own.
    func weights(_ folder: String?, as form: StorageOptions.Form? = nil) throws -> ModelWeights {
        guard let folder else { return base.weights }
        let adapter = try Adapter(folder: folder, fitting: base.inventory, baseName: nil)
        return try base.adapted(by: adapter, as: form, on: compute).weights
    }

    /// What a generator of its own gives.
    func alone(_ prompt: [Int], _ weights: ModelWeights, maximumTokens: Int) throws -> Completion {
        try Generator(
            base.configuration, weights: weights, eosIDs: [], tokenizer: nil, keyValues: .f16, on: compute
        ).generate(
            GenerationRequest(prompt: prompt, maximumTokens: maximumTokens, ignoresEOS: true, logprobs: 2))
    }
}

/// A client that sends and reads lines.
final class TestConnection: Sendable {
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var lines = LineBuffer(maximumLine: 1 << 30)
        private let continuation: AsyncStream<String>.Continuation

        init(_ continuation: AsyncStream<String>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            lines.append(unwrapInboundIn(data))
            while case .line(let line) = lines.next() {
                continuation.yield(String(decoding: line, as: UTF8.self))
            }
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { continuation.finish() }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    let lines: AsyncStream<String>

    init(_ address: SocketAddress, reads: Bool = true) async throws {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        self.lines = lines
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
            .connect(to: address).get()
    }

    deinit { channel.close(promise: nil) }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func finish() async throws { try await channel.close(mode: .output) }

    /// The next line, as it is.
    func line() async -> String? {
        var iterator = lines.makeAsyncIterator()
        return await iterator.next()
    }

    /// The next line, as JSON.
    func object() async throws -> JSONObject {
        guard let object = try await line().flatMap({ try JSONValue(parsing: Array($0.utf8)).object }) else {
            throw CancellationError()
        }
        return object
    }

    /// Sends a JSON request and waits for its last line.
    func ask(_ line: String) async throws -> JSONObject {
        try await send(line + "\n")
        while true {
            let object = try await object()
            if object["done"]?.bool == true { return object }
        }
    }
}

extension JSONObject {
    var errorCode: String? { self["error"]?.object?["code"]?.string }
    var result: JSONObject? { self["result"]?.object }
    var tokenIDs: [Int] { (self["token_ids"]?.array ?? []).compactMap(\.int) }
    /// Log probabilities of the tokens and of their alternatives, in order.
    var logprobs: [Double] {
        (self["logprobs"]?.array ?? []).flatMap { entry -> [Double] in
            let object = entry.object
            let top = (object?["top"]?.array ?? []).compactMap { $0.array?.last?.double }
            return [object?["logprob"]?.double].compactMap { $0 } + top
        }
    }
}
