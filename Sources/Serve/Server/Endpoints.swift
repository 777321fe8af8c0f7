import NIOCore

/// Where a server listens: for lines first, then for HTTP, then for those who read its metrics.
struct Endpoints: Sendable {
    let lines: [Endpoint]
    private let http: [Endpoint]
    private let metrics: [Endpoint]

    init(_ settings: ServerSettings, _ state: ServerState) {
        lines = settings.addresses.map { Endpoint.lines($0, state) }
        let server = HTTPServer(HTTPAPI(state: state, settings: settings.http))
        http = settings.http.addresses.map(server.endpoint)
        let probes = HTTPServer(HTTPAPI(state: state, settings: settings.http), isForProbes: true)
        metrics = settings.http.metricsAddresses.map(probes.endpoint)
    }

    /// In the order of a `Lobby`'s doors.
    var overHTTP: [Endpoint] { http + metrics }

    /// - Parameter addresses: those of `lines`, then those of `overHTTP`, ports included.
    func announcements(_ addresses: [SocketAddress]) -> [String] {
        let words =
            lines.map { _ in "listening" } + http.map { _ in "HTTP" } + metrics.map { _ in "metrics" }
        return zip(words, addresses).map { "\($0) on \(ListenAddress($1))" }
    }
}

extension ListenAddress {
    init(_ address: SocketAddress) {
        self =
            address.pathname.map(ListenAddress.unix)
            ?? .tcp(host: address.ipAddress ?? "", port: address.port ?? 0)
    }
}
