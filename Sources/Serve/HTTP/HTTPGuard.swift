import HTTPTypes
import Hummingbird

/// What every request passes, whatever it asks for, and what every answer says.
struct HTTPGuard: RouterMiddleware {
    let access: HTTPAccess
    let routes: HTTPRoutes

    func handle(
        _ request: Request, context: HTTPContext, next: (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            try access.check(request)
            response = try await answer(request, context, next)
        } catch is HTTPError { response = missing(request) } catch {
            let error = OpenAIError(any: error)
            context.call.notes.add(error)
            response = Response(error)
        }
        response.headers[.requestID] = context.call.id
        response.headers[.contentTypeOptions] = "nosniff"
        if let origin = request.headers[.origin], access.isListed(origin) {
            response.headers[.accessControlAllowOrigin] = origin
            response.headers[.accessControlExposeHeaders] =
                "x-request-id, x-dora-adapter, x-dora-ignored, retry-after, server-timing"
        }
        if !access.origins.isEmpty { response.headers[.vary] = "Origin" }
        return response
    }

    private func answer(
        _ request: Request, _ context: HTTPContext, _ next: (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        // The router would pass over empty parts of a path.
        if request.uri.path.contains("//") { throw HTTPError(.notFound) }
        guard request.method == .options else { return try await next(request, context) }
        // A browser asks before a page of another origin may send something.
        var response = Response(status: .noContent)
        if request.headers[.accessControlRequestMethod] != nil {
            response.headers[.accessControlAllowMethods] = "GET, POST, OPTIONS"
            response.headers[.accessControlAllowHeaders] = request.headers[.accessControlRequestHeaders]
            response.headers[.accessControlMaxAge] = "600"
        } else {
            response.headers[.allow] = routes.methods(at: request.uri.path)
        }
        return response
    }

    /// Why there is nothing at a path, or nothing by this method.
    private func missing(_ request: Request) -> Response {
        guard let methods = routes.methods(at: request.uri.path) else {
            do throws(OpenAIError) { try access.check(request, for: .client) } catch {
                return Response(error)
            }
            return Response(routes.unknown(request.uri.path))
        }
        var response = Response(
            OpenAIError(
                .methodNotAllowed, "method_not_allowed",
                "\(request.uri.path.quoted) is for \(methods), not for \(request.method.rawValue)"))
        response.headers[.allow] = methods
        return response
    }
}
