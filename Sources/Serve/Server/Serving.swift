import DoraLoader
import DoraRuntime
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import UnixSignals

#if canImport(Glibc)
import Glibc
#endif

/// One run of `dora-serve`: loads the base, merges the adapters that it was given, serves until told to stop.
package struct Serving: Sendable {
    private let settings: ServerSettings
    private let logger: Logger

    package init(_ settings: ServerSettings) {
        self.settings = settings
        var logger = Logger(label: "dora-serve") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        self.logger = logger
    }

    /// - Throws: `LoadError`, `EngineError`, `ListenProblem` and what the layers below throw.
    package func run() async throws {
        Self.allowManyFiles()
        if let reason = settings.modelReason {
            logger.notice(
                "model chosen", metadata: ["model": "\(settings.model.model)", "why": "\(reason.quoted)"])
        }
        // A mistake in an adapter's path need not wait for the model.
        for folder in try EngineSettings.folders(settings.engine.adapters) {
            _ = try AdapterConfiguration(folder: folder)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let lobby = try await Lobby(
            settings.http, maximumConnections: settings.limits.maximumConnections,
            hasTokens: settings.admission.clients != nil, socketMode: settings.socketMode, on: group)
        let phase = Mutex(Phase.loading(lobby))
        let listening = Task { await Self.listen(to: signals) { phase.withLock { $0 } } }
        defer { listening.cancel() }
        let loaded: (base: LoadedBase, engine: Engine)
        do { loaded = try await load() } catch {
            await lobby.close()
            throw error
        }
        let (base, engine) = loaded
        let state = ServerState(
            engine: engine, model: settings.model.model, limits: settings.limits,
            admission: settings.admission, openAI: settings.http.options,
            logger: logger, hello: hello(engine),
            requestDrain: {
                guard case .serving(let services, _) = phase.withLock({ $0 }) else { return }
                Task { await services.triggerGracefulShutdown() }
            })
        let endpoints = Endpoints(settings, state)
        let server = SocketServer(
            endpoints: endpoints.lines, early: lobby.leading(to: endpoints.overHTTP), state: state,
            drainDelay: settings.drainDelay,
            drainTimeout: settings.drainTimeout, socketMode: settings.socketMode, group: group,
            whenListening: { addresses in
                announce(addresses, endpoints, hasTokenizer: base.languages.base.tokenizer != nil)
                settings.manager?.tell(
                    .ready(endpoints.announcements(addresses).joined(separator: ", ")))
            },
            whenStopping: { settings.manager?.tell(.stopping) })
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: server, successTerminationBehavior: .gracefullyShutdownGroup),
                .init(
                    service: HangupService(root: settings.engine.root, logger: logger),
                    successTerminationBehavior: .ignore),
            ],
            logger: quiet)
        configuration.maximumGracefulShutdownDuration =
            settings.drainDelay + settings.drainTimeout + .seconds(5)
        let serviceGroup = ServiceGroup(configuration: configuration)
        phase.withLock { $0 = .serving(serviceGroup, state) }
        try await serviceGroup.run()
        try await group.shutdownGracefully()
    }

    /// The base with the adapters that were named: those must be right before anybody is answered.
    private func load() async throws -> (base: LoadedBase, engine: Engine) {
        // Beside the tasks, which have few threads: signals are listened to meanwhile.
        settings.manager?.tell(.starting("loading \(settings.model.model)"))
        let base = try await withCheckedThrowingContinuation { continuation in
            do {
                try OwnThread.start { [model = settings.model] in
                    continuation.resume(with: Result { try LoadedBase(model, progress: Terminal.show) })
                }
            } catch { continuation.resume(throwing: error) }
        }
        for warning in base.warnings { logger.log(warning) }
        let engine = try settings.engine.engine(over: base) { [logger] in logger.log($0) }
        let adapters = settings.engine.adapters
        for (index, adapter) in adapters.enumerated() {
            Terminal.show(LoadProgress(stage: "merging \(adapter.name)", done: index, total: adapters.count))
            settings.manager?.tell(.starting("merging \(adapter.name)"))
            _ = try await withCheckedThrowingContinuation { continuation in
                engine.load(AdapterOrder(name: adapter.name)) { continuation.resume(with: $0) }
            }
        }
        Terminal.show(LoadProgress(stage: "merging", done: adapters.count, total: adapters.count))
        return (base, engine)
    }

    private enum Phase {
        case loading(Lobby)
        case serving(ServiceGroup, ServerState)
    }

    /// The first signal drains; a second one is meant, and ends the program at once, as does one before anybody was
    /// answered. Who presses Ctrl-C waits for no balancer to notice.
    private static func listen(to signals: UnixSignalsSequence, _ phase: () -> Phase) async {
        var isFirst = true
        for await signal in signals {
            if !isFirst { _exit(ExitStatus.interrupted.rawValue) }
            isFirst = false
            switch phase() {
            case .loading(let lobby):
                await lobby.close()
                _exit(signal == .sigint ? ExitStatus.interrupted.rawValue : 0)
            case .serving(let services, let state):
                if signal == .sigint { state.hurry() }
                await services.triggerGracefulShutdown()
            }
        }
    }

    /// Each connection is an open file, and the usual limit is lower than that of connections.
    private static func allowManyFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// The service group's own messages are of no use to those who run a server.
    private var quiet: Logger {
        var logger = logger
        logger.logLevel = .error
        return logger
    }

    private func hello(_ engine: Engine) -> HelloResult {
        HelloResult(
            model: settings.model.model, default_adapter: settings.engine.defaultAdapter,
            limits: HelloResult.Limits(
                context: engine.context, max_sequences: settings.engine.maximumSequences,
                max_queue: settings.engine.maximumQueue,
                max_inflight: settings.limits.maximumInFlight, max_line: settings.limits.maximumLine))
    }

    private func announce(_ addresses: [SocketAddress], _ endpoints: Endpoints, hasTokenizer: Bool) {
        for line in endpoints.announcements(addresses) { try? Terminal.write(line + "\n") }
        guard let first = addresses.first.map(ListenAddress.init) else { return }
        let example = ExampleRequest(to: first, tokenFile: settings.tokenFile, hasTokenizer: hasTokenizer)
        let adapter = settings.engine.defaultAdapter.map { "adapter \($0)" } ?? "the base"
        guard settings.admission.clients == nil || settings.tokenFile != nil else {
            try? Terminal.write(
                "one line in, one line out; \(adapter) answers whoever shows the token first (docs/protocol.md)\n"
            )
            return
        }
        try? Terminal.write("one line in, one line out; \(adapter) answers, for example:\n  \(example)\n")
    }
}

/// SIGHUP: says which adapters lie under the root; what is loaded stays as it is.
private struct HangupService: Service {
    let root: AdapterRoot?
    let logger: Logger

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            let names = root?.names() ?? []
            logger.info("adapters under the root", metadata: ["names": "\(names.joined(separator: " "))"])
        }
    }
}
