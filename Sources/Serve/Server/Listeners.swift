import DoraLoader
import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Sockets to which clients may connect.
struct Listeners: Sendable {
    private var open: [(address: ListenAddress, channel: any Channel)] = []

    /// With their ports.
    var addresses: [SocketAddress] { open.compactMap { $0.channel.localAddress } }

    /// - Parameters:
    ///   - hasTokens: whether clients must show one, so that other machines may connect.
    ///   - socketMode: of Unix sockets.
    /// - Throws: `ListenProblem`; then nothing is listened on.
    init(
        _ endpoints: [Endpoint], hasTokens: Bool, socketMode: UInt32 = 0o600,
        on group: MultiThreadedEventLoopGroup
    ) async throws {
        // Sockets in the file system are for this user alone until they have their mode; the server makes no other files.
        umask(0o177)
        do {
            for endpoint in endpoints {
                let channel = try await Self.listen(endpoint, hasTokens: hasTokens, on: group)
                open.append((endpoint.address, channel))
                try Self.setMode(socketMode, of: endpoint.address)
            }
        } catch {
            await close()
            throw error
        }
    }

    /// Closes them and removes their sockets: at once, for after a drain the path may be a successor's.
    func close() async {
        for (address, channel) in open {
            try? await channel.close()
            if case .unix(let path) = address { unlink(path) }
        }
    }

    private static func listen(
        _ endpoint: Endpoint, hasTokens: Bool, on group: MultiThreadedEventLoopGroup
    ) async throws -> any Channel {
        let address = endpoint.address
        let resolved: SocketAddress
        do { resolved = try address.resolved() } catch { throw ListenProblem.failed(address, "\(error)") }
        guard resolved.isLocal || hasTokens || !endpoint.isGuarded else {
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
            if case .unix(let path) = address { try await removeStale(path, resolved, on: group) }
            return try await bootstrap.bind(to: resolved).get()
        } catch let error as ListenProblem { throw error } catch {
            throw ListenProblem.failed(address, "\(error)")
        }
    }

    private static func setMode(_ mode: UInt32, of address: ListenAddress) throws(ListenProblem) {
        guard case .unix(let path) = address, chmod(path, mode) != 0 else { return }
        throw .failed(address, "its mode cannot be set: \(String(cString: strerror(errno)))")
    }

    /// Removes the socket of a server that is no more.
    private static func removeStale(
        _ path: String, _ address: SocketAddress, on group: MultiThreadedEventLoopGroup
    ) async throws {
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

/// What becomes of those who connect, until it is told otherwise.
final class Door: Sendable {
    private let way: Mutex<@Sendable (any Channel) throws -> Void>

    init(_ way: @escaping @Sendable (any Channel) throws -> Void) { self.way = Mutex(way) }

    func open(_ channel: any Channel) throws {
        let way = way.withLock { $0 }
        try way(channel)
    }

    func lead(_ way: @escaping @Sendable (any Channel) throws -> Void) { self.way.withLock { $0 = way } }
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
