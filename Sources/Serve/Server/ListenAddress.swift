package import NIOCore

/// Where to listen or to connect: `unix:PATH` or `tcp:HOST:PORT`.
package enum ListenAddress: Equatable, Sendable, CustomStringConvertible {
    case unix(path: String)
    case tcp(host: String, port: Int)

    /// An address that is none, and how to write one.
    package struct Malformed: Error, Equatable, CustomStringConvertible {
        let text: String
        package var description: String {
            "'\(text)' is no address; write unix:PATH, tcp:HOST:PORT or tcp:[IPV6]:PORT"
        }
    }

    package static let standard = ListenAddress.tcp(host: "127.0.0.1", port: 7077)

    package init(_ text: String) throws(Malformed) {
        if text.hasPrefix("unix:"), text.utf8.count > 5 {
            self = .unix(path: String(text.dropFirst(5)))
            return
        }
        let rest = text.hasPrefix("tcp:") ? text.dropFirst(4) : text[...]
        guard let colon = rest.lastIndex(of: ":"), let port = Int(rest[rest.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw Malformed(text: text) }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Malformed(text: text)
        }
        guard !host.isEmpty else { throw Malformed(text: text) }
        self = .tcp(host: String(host), port: port)
    }

    /// Several, between commas.
    package static func list(_ text: String) throws(Malformed) -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            addresses.append(try ListenAddress(String(part)))
        }
        return addresses
    }

    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
        }
    }

    package func resolved() throws -> SocketAddress {
        switch self {
        case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
        case .tcp(let host, let port): try SocketAddress.makeAddressResolvingHost(host, port: port)
        }
    }
}

extension SocketAddress {
    /// Whether only programs on this machine can come this way.
    var isLocal: Bool {
        switch self {
        case .unixDomainSocket: true
        case .v4, .v6: ipAddress.map { $0.hasPrefix("127.") || $0 == "::1" } ?? false
        }
    }
}
