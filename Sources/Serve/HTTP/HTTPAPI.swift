import DoraRuntime
import DoraText
import HTTPTypes
import Hummingbird

/// What there is over HTTP. What belongs together is in a file of its own.
struct HTTPAPI: Sendable {
    let state: ServerState
    let settings: HTTPSettings
    let listing: ModelListing

    init(state: ServerState, settings: HTTPSettings) {
        self.state = state
        self.settings = settings
        listing = ModelListing(state: state)
    }

    static let probes: Set<String> = ["/health", "/ready", "/metrics"]

    private var routes: [HTTPRoute] {
        var routes =
            probeRoutes(isOpen: false) + modelRoutes + completionRoutes + textRoutes + operationRoutes
            + loadingRoutes
        if settings.servesPage { routes += pageRoutes }
        return routes
    }

    var responder: RouterResponder<HTTPContext> { Self.responder(of: routes, access) }

    /// Only what machines ask.
    var probeResponder: RouterResponder<HTTPContext> {
        var open = access
        open.admission = Admission()
        open.isHostChecked = false
        return Self.responder(of: probeRoutes(isOpen: true), open)
    }

    private var access: HTTPAccess {
        HTTPAccess(admission: state.admission, hostNames: settings.hostNames, origins: settings.origins)
    }

    private static func responder(
        of routes: [HTTPRoute], _ access: HTTPAccess
    ) -> RouterResponder<HTTPContext> {
        let router = Router(context: HTTPContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: HTTPGuard(access: access, routes: HTTPRoutes(routes)))
        for route in routes {
            router.on(RouterPath(route.path), method: route.method) { request, context in
                try access.check(request, for: route.role)
                if route.method == .post { try Self.checkType(request) }
                return try await route.answer(request, context)
            }
        }
        return router.buildResponder()
    }

    /// No form of a foreign page can say that it sends JSON.
    private static func checkType(_ request: Request) throws(OpenAIError) {
        if let coding = request.headers[.contentEncoding], coding.lowercased() != "identity" {
            throw OpenAIError(
                .mediaType, "unsupported_media_type", "send the body as it is, without Content-Encoding")
        }
        let type = (request.headers[.contentType] ?? "").lowercased().split(separator: ";").map {
            $0.filter { $0 != " " }
        }
        let isJSON = type.first == "application/json"
        guard isJSON, type.dropFirst().allSatisfy({ !$0.hasPrefix("charset=") || $0.contains("utf-8") })
        else {
            throw OpenAIError(
                .mediaType, "unsupported_media_type", "send Content-Type: application/json, in UTF-8")
        }
    }

    /// The fields of a request's body.
    func object(_ request: Request) async throws -> JSONObject {
        var bytes: [UInt8] = []
        for try await part in request.body { bytes += part.readableBytesView }
        let value: JSONValue
        do { value = try JSONValue(parsing: bytes) } catch { throw OpenAIError.notJSON("\(error)") }
        guard let object = value.object else { throw OpenAIError.notJSON("it is another value") }
        return object
    }
}

extension HTTPAPI {
    /// What `/health` says.
    static let alive = Array(#"{"status":"ok"}"#.utf8)

    /// What machines ask: whether the server lives, whether to send it something, how it does.
    /// - Parameter isOpen: whether metrics are told to everybody, wherever they come from.
    func probeRoutes(isOpen: Bool) -> [HTTPRoute] {
        [
            HTTPRoute(method: .get, path: "/health", role: .stranger) { _, _ in
                Response(json: Self.alive)
            },
            HTTPRoute(method: .get, path: "/ready", role: .stranger) { [state] _, _ in
                guard !state.isReady else {
                    return Response { line in
                        line.object { line in
                            line.key("status")
                            line.value("ready")
                        }
                    }
                }
                throw OpenAIError(EngineError.draining)
            },
            HTTPRoute(method: .get, path: "/metrics", role: .stranger) { [state, settings] request, context in
                // What is asked for and how often is the affair of this machine.
                if !isOpen && !context.call.isLocal { try access.check(request, for: .client) }
                let metrics = ServerMetrics(
                    statistics: await state.engine.statistics, connections: state.connectionCount,
                    baseName: state.openAI.baseName)
                return Response(
                    text: metrics.text(speaksVLLM: settings.speaksVLLM), type: MetricsText.contentType)
            },
        ]
    }
}
