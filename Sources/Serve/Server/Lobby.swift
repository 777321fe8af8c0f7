import NIOCore
import NIOPosix
import Synchronization

/// Where HTTP is spoken while the base is being loaded. Whoever comes is told so, until the doors lead to the server.
struct Lobby: Sendable {
    private let doors: [Door]
    private let listeners: Listeners
    /// Where the doors will lead; as many as there are.
    private var endpoints: [Endpoint] = []

    var addresses: [SocketAddress] { listeners.addresses }

    /// - Parameter maximumConnections: further ones are closed at once.
    /// - Throws: `ListenProblem`
    init(
        _ settings: HTTPSettings, maximumConnections: Int, hasTokens: Bool, socketMode: UInt32 = 0o600,
        on group: MultiThreadedEventLoopGroup
    ) async throws {
        let guests = Guests(maximum: maximumConnections)
        let addresses =
            settings.addresses.map { ($0, isGuarded: true) }
            + settings.metricsAddresses.map { ($0, isGuarded: false) }
        let doors = addresses.map { _ in
            Door {
                if guests.admit($0) { try HTTPServer.openLoading($0, settings.limits) }
            }
        }
        self.doors = doors
        listeners = try await Listeners(
            zip(addresses, doors).map { address, door in
                Endpoint(
                    address: address.0, isHalfClosable: false, isGuarded: address.isGuarded,
                    open: { try door.open($0) })
            }, hasTokens: hasTokens, socketMode: socketMode, on: group)
    }

    func leading(to endpoints: [Endpoint]) -> Lobby {
        var lobby = self
        lobby.endpoints = endpoints
        return lobby
    }

    /// From now on clients come to the server.
    func open() { for (door, endpoint) in zip(doors, endpoints) { door.lead(endpoint.open) } }

    func close() async { await listeners.close() }
}

/// Those who are in the lobby.
private final class Guests: Sendable {
    private let maximum: Int
    private let count = Atomic(0)

    init(maximum: Int) { self.maximum = maximum }

    /// Closes a channel that is one too many.
    func admit(_ channel: any Channel) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= maximum else {
            count.subtract(1, ordering: .relaxed)
            channel.close(promise: nil)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.count.subtract(1, ordering: .relaxed) }
        return true
    }
}
