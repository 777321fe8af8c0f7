/// The way to one of several servers: a connection that is opened when it is needed, and again when it was lost.
actor ServerLink {
    let address: ListenAddress
    private let token: String?
    private var opening: Task<ServerConnection, any Error>?
    private var restsUntil: ContinuousClock.Instant?

    init(_ address: ListenAddress, token: String?) {
        self.address = address
        self.token = token
    }

    /// Whether it was draining or gone a moment ago: then others are asked first.
    var isResting: Bool { restsUntil.map { $0 > .now } ?? false }

    /// - Throws: `ServerClient.Problem`.
    func open() async throws -> ServerConnection {
        if let opening, let connection = try? await opening.value, !connection.isClosed { return connection }
        let (address, token) = (self.address, self.token)
        let task = Task { try await ServerConnection(address, token: token) }
        opening = task
        let connection = try await task.value
        restsUntil = nil
        return connection
    }

    func rest() { restsUntil = .now + .seconds(5) }
}
