import DoraLoader
import DoraRuntime
import Logging
import NIOCore
import Synchronization

/// What all connections share: the engine, the limits, and who is connected.
final class ServerState: Sendable {
    let engine: Engine
    let model: String
    let limits: ConnectionLimits
    let admission: Admission
    /// What is made of requests of OpenAI's API, over lines too.
    let openAI: OpenAIOptions
    let logger: Logger
    let hello: HelloResult
    /// Asks the whole server to drain.
    let requestDrain: @Sendable () -> Void

    private struct Connections {
        var isDraining = false
        var isAboutToDrain = false
        var isHurried = false
        var nextID = 1
        var open: [Int: any Channel] = [:]
        var whenEmpty: EventLoopPromise<Void>?
    }
    private let connections = Mutex(Connections())

    init(
        engine: Engine, model: String, limits: ConnectionLimits, admission: Admission = Admission(),
        openAI: OpenAIOptions? = nil, logger: Logger, hello: HelloResult,
        requestDrain: @escaping @Sendable () -> Void
    ) {
        self.engine = engine
        self.model = model
        self.limits = limits
        self.admission = admission
        self.openAI = openAI ?? OpenAIOptions(model: model)
        self.logger = logger
        self.hello = hello
        self.requestDrain = requestDrain
    }

    var isDraining: Bool { connections.withLock { $0.isDraining } }
    /// Whether new clients are welcome.
    var isReady: Bool { connections.withLock { !$0.isDraining && !$0.isAboutToDrain } }
    /// Whether whoever stopped the server does not want to wait for those who have yet to notice.
    var isHurried: Bool { connections.withLock { $0.isHurried } }
    var connectionCount: Int { connections.withLock { $0.open.count } }

    /// The connection's number; nil when there are too many or no more are taken.
    func enter(_ channel: any Channel) -> Int? {
        connections.withLock { state in
            guard !state.isDraining, state.open.count < limits.maximumConnections else { return nil }
            let id = state.nextID
            state.nextID += 1
            state.open[id] = channel
            return id
        }
    }

    func leave(_ id: Int) {
        let whenEmpty = connections.withLock { state in
            state.open[id] = nil
            return state.open.isEmpty ? state.whenEmpty : nil
        }
        whenEmpty?.succeed()
    }

    /// Everything goes on, but that the server is not ready any more.
    func announceDrain() { connections.withLock { $0.isAboutToDrain = true } }

    func hurry() { connections.withLock { $0.isHurried = true } }

    /// Takes no new connections and requests, and tells the open ones to finish.
    /// - Parameter whenEmpty: fulfilled once the last connection has gone.
    func drain(whenEmpty: EventLoopPromise<Void>) {
        let channels = connections.withLock { state in
            state.isDraining = true
            state.whenEmpty = whenEmpty
            return Array(state.open.values)
        }
        if channels.isEmpty { whenEmpty.succeed() }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(DrainEvent()) }
    }

    func closeAll() {
        for channel in connections.withLock({ Array($0.open.values) }) {
            channel.close(mode: .all, promise: nil)
        }
    }
}

/// Tells a connection to close as soon as its requests are answered.
struct DrainEvent: Sendable {}

package struct ConnectionLimits: Sendable {
    package var maximumConnections = 1024
    /// Requests of one connection that are being answered; beyond it nothing more is read.
    package var maximumInFlight = 64
    package var maximumLine = 1 << 20
    /// Bytes that may wait for a client that does not read.
    package var maximumUnsent = 8 << 20
    /// A line must be complete this long after its first byte.
    package var readTimeout = Duration.seconds(60)
    /// A connection may do nothing for this long.
    package var idleTimeout = Duration.seconds(600)

    package init() {}
}
