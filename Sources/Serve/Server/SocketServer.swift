import DoraRuntime
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// An address, and what becomes of those who connect to it.
struct Endpoint: Sendable {
    let address: ListenAddress
    /// Whether a client that has sent its last byte still gets its replies.
    var isHalfClosable = true
    /// Whether only those with a token get in, so that other machines may connect.
    var isGuarded = true
    /// Sets a client's channel up.
    let open: @Sendable (any Channel) throws -> Void

    /// One that speaks the line protocol.
    static func lines(_ address: ListenAddress, _ state: ServerState) -> Endpoint {
        Endpoint(address: address) { try $0.pipeline.syncOperations.addHandler(Connection(state)) }
    }
}

/// Listens, and drains when it is told to stop: takes nothing new, finishes what runs, then returns.
struct SocketServer: Service {
    let endpoints: [Endpoint]
    /// What is listened on already, and what becomes of those who connect there from now on.
    var early: Lobby?
    let state: ServerState
    /// How long it goes on as before once it has said that it is about to stop.
    var drainDelay = Duration.zero
    let drainTimeout: Duration
    /// Of Unix sockets.
    var socketMode: UInt32 = 0o600
    let group: MultiThreadedEventLoopGroup
    /// Called with the addresses that are listened on, ports included: the early ones come last.
    let whenListening: @Sendable ([SocketAddress]) -> Void
    /// Called when it is told to stop.
    var whenStopping: @Sendable () -> Void = {}

    func run() async throws {
        let listeners: Listeners
        do {
            listeners = try await Listeners(
                endpoints, hasTokens: state.admission.clients != nil, socketMode: socketMode, on: group)
        } catch {
            await early?.close()
            throw error
        }
        early?.open()
        whenListening(listeners.addresses + (early?.addresses ?? []))
        try? await gracefulShutdown()
        whenStopping()
        if !state.isHurried, drainDelay > .zero {
            state.announceDrain()
            state.logger.info("about to drain", metadata: ["seconds": "\(drainDelay.seconds)"])
            try? await Task.sleep(for: drainDelay)
        }
        state.logger.info("draining", metadata: ["connections": "\(state.connectionCount)"])
        await listeners.close()
        await early?.close()
        let whenEmpty = group.next().makePromise(of: Void.self)
        state.drain(whenEmpty: whenEmpty)
        let late = group.next().scheduleTask(in: .nanoseconds(drainTimeout.nanoseconds)) {
            state.logger.warning("the drain took too long: what still runs is cut off")
            state.closeAll()
        }
        try await whenEmpty.futureResult.get()
        late.cancel()
    }
}

extension Duration {
    var nanoseconds: Int64 { Int64((seconds * 1e9).rounded()) }
}
