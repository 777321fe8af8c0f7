import HTTPTypes
import Hummingbird

/// Who may ask: which hosts a browser may think that it talks to, which pages may send it, which tokens open what.
///
/// A loopback address keeps other machines out, and not the pages that this machine's browser shows: one may send requests
/// anywhere (Origin tells), and have its own name resolved to 127.0.0.1 (Host tells).
struct HTTPAccess: Sendable {
    var admission: Admission
    /// Where nobody needs a token.
    var isHostChecked = true
    /// Beside the names of this machine, in lower case.
    let hostNames: Set<String>
    /// `scheme://host:port` of pages that may send requests.
    let origins: Set<String>

    init(admission: Admission, hostNames: Set<String>, origins: Set<String>) {
        self.admission = admission
        self.hostNames = hostNames
        self.origins = origins
    }

    private static let localNames: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

    /// - Throws: `OpenAIError` `.permission` for what a browser was made to send.
    func check(_ request: Request) throws(OpenAIError) {
        let host = request.head.authority ?? ""
        if isHostChecked, admission.clients == nil {
            guard let name = Self.name(ofHost: host.lowercased()),
                Self.localNames.contains(name) || hostNames.contains(name)
            else {
                throw OpenAIError(
                    .permission, "forbidden_host",
                    "without a token this server answers to localhost and to the names given with --host-name, not to \(host.quoted)"
                )
            }
        }
        guard let origin = request.headers[.origin], !isAllowed(origin, host: host) else { return }
        throw OpenAIError(
            .permission, "forbidden_origin",
            "pages of \(origin.quoted) may not use this server; name it with --cors-origin if they should")
    }

    private func isAllowed(_ origin: String, host: String) -> Bool {
        origins.contains(origin) || origin == "http://" + host || origin == "https://" + host
    }

    /// Whether a page of that origin is another's, and may read the answers.
    func isListed(_ origin: String) -> Bool { origins.contains(origin) }

    /// The host without its port; nil for what is none.
    static func name(ofHost host: String) -> String? {
        let end =
            host.hasPrefix("[")
            ? host.lastIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
        let name = host[..<(end ?? host.endIndex)]
        let port = host[(end ?? host.endIndex)...]
        guard port.isEmpty || port.first == ":" && port.dropFirst().allSatisfy(\.isNumber) else { return nil }
        return name.isEmpty ? nil : String(name)
    }

    /// - Throws: `OpenAIError` `.authentication` for a stranger, `.permission` for one who may do less.
    func check(_ request: Request, for role: Admission.Role) throws(OpenAIError) {
        let found = admission.role(token: token(of: request))
        guard found < role else { return }
        throw found == .stranger
            ? OpenAIError(
                .authentication, "invalid_api_key", "send one of the server's tokens: Authorization: Bearer …"
            )
            : OpenAIError(.permission, "admin_only", "this needs a token of --admin-token-file")
    }

    private func token(of request: Request) -> String? {
        guard let text = request.headers[.authorization] else { return nil }
        let parts = text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }
}

extension HTTPAccess {
    /// An origin as browsers spell it: `scheme://host` and perhaps `:port`. Neither `null` nor `*`: every page could be that.
    static func isOrigin(_ text: String) -> Bool {
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count)
            return !host.contains("/") && name(ofHost: String(host)) != nil && host.lowercased() == host
        }
        return false
    }
}
