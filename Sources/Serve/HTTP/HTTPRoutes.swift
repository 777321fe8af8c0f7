import HTTPTypes
import Hummingbird

/// Something that the server can be asked for.
struct HTTPRoute: Sendable {
    let method: HTTPRequest.Method
    /// May end with `/**`: anything, several parts too.
    let path: String
    /// Who may ask for it.
    var role = Admission.Role.client
    let answer: @Sendable (Request, HTTPContext) async throws -> Response
}

/// All of it, as a table.
struct HTTPRoutes: Sendable {
    private let methodsByPath: [String: [String]]
    private let wildcards: [String]

    init(_ routes: [HTTPRoute]) {
        methodsByPath = Dictionary(grouping: routes, by: \.path).mapValues { routes in
            var methods = routes.map(\.method.rawValue)
            if methods.contains("GET") { methods.append("HEAD") }
            return methods + ["OPTIONS"]
        }
        wildcards = methodsByPath.keys.filter { $0.hasSuffix("/**") }.map { String($0.dropLast(2)) }
    }

    /// For the header `Allow`; nil where there is nothing. A final slash is of no meaning.
    func methods(at path: String) -> String? {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let known =
            methodsByPath[path] ?? wildcards.first { path.hasPrefix($0) }.flatMap { methodsByPath[$0 + "**"] }
        return known?.joined(separator: ", ")
    }

    func unknown(_ path: String) -> OpenAIError {
        let hint = methods(at: "/v1" + path).map { _ in "; did you mean /v1\(path)?" } ?? ""
        return OpenAIError(.notFound, "unknown_url", "there is nothing at \(path.quoted)\(hint)")
    }
}
