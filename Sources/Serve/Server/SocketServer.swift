import DoraLoader
import DoraRuntime
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#endif

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
    let state: ServerState
    /// How long it goes on as before once it has said that it is about to stop.
    var drainDelay = Duration.zero
    let drainTimeout: Duration
    let group: MultiThreadedEventLoopGroup
    /// Called with the addresses that are listened on, ports included.
    let whenListening: @Sendable ([SocketAddress]) -> Void

    func run() async throws {
        // Sockets in the file system are for this user alone; the server makes no other files.
        umask(0o177)
        var listeners: [any Channel] = []
        do {
            for endpoint in endpoints { listeners.append(try await listen(endpoint)) }
        } catch {
            await close(listeners)
            throw error
        }
        whenListening(listeners.compactMap(\.localAddress))
        try? await gracefulShutdown()
        if !state.isHurried, drainDelay > .zero {
            state.announceDrain()
            state.logger.info("about to drain", metadata: ["seconds": "\(drainDelay.seconds)"])
            try? await Task.sleep(for: drainDelay)
        }
        state.logger.info("draining", metadata: ["connections": "\(state.connectionCount)"])
        await close(listeners)
        let whenEmpty = group.next().makePromise(of: Void.self)
        state.drain(whenEmpty: whenEmpty)
        let late = group.next().scheduleTask(in: .nanoseconds(drainTimeout.nanoseconds)) {
            state.logger.warning("the drain took too long: what still runs is cut off")
            state.closeAll()
        }
        try await whenEmpty.futureResult.get()
        late.cancel()
    }

    /// Closes them and removes their sockets: at once, for after the drain the path may be a successor's.
    private func close(_ listeners: [any Channel]) async {
        for (listener, endpoint) in zip(listeners, endpoints) {
            try? await listener.close()
            if case .unix(let path) = endpoint.address { unlink(path) }
        }
    }

    private func listen(_ endpoint: Endpoint) async throws -> any Channel {
        let address = endpoint.address
        let resolved: SocketAddress
        do { resolved = try address.resolved() } catch { throw ListenProblem.failed(address, "\(error)") }
        guard resolved.isLocal || state.admission.clients != nil || !endpoint.isGuarded else {
            throw ListenProblem.notLocal(address)
        }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: endpoint.isHalfClosable)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try endpoint.open(channel) }
            }
        do {
            if case .unix(let path) = address { try await removeStale(path, resolved) }
            return try await bootstrap.bind(to: resolved).get()
        } catch let error as ListenProblem { throw error } catch {
            throw ListenProblem.failed(address, "\(error)")
        }
    }

    /// Removes the socket of a server that is no more.
    private func removeStale(_ path: String, _ address: SocketAddress) async throws {
        guard access(path, F_OK) == 0 else { return }
        if let other = try? await ClientBootstrap(group: group).connect(to: address).get() {
            try? await other.close()
            throw ListenProblem.failed(.unix(path: path), "another server is listening there")
        }
        guard FileStatus.kind(path) == .socket else {
            throw ListenProblem.failed(.unix(path: path), "there is a file of that name that is no socket")
        }
        unlink(path)
    }
}

extension Duration {
    var nanoseconds: Int64 { Int64((seconds * 1e9).rounded()) }
}

/// Why the server cannot listen somewhere.
package enum ListenProblem: Error, CustomStringConvertible {
    case notLocal(ListenAddress)
    case failed(ListenAddress, String)

    package var description: String {
        switch self {
        case .notLocal(let address):
            "\(address): other machines could connect; give --token-file, or listen on a loopback address or a Unix socket"
        case .failed(let address, let problem): "\(address): cannot listen (\(problem))"
        }
    }
}
