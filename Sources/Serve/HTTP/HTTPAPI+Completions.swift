import DoraRuntime
import DoraText
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

/// Chats and completions: the reply in one piece, or as it is made.
extension HTTPAPI {
    var completionRoutes: [HTTPRoute] {
        OpenAIEndpoint.allCases.map { endpoint in
            HTTPRoute(method: .post, path: endpoint.rawValue) { request, context in
                let fields = try await object(request)
                let asked = try OpenAIRequest(fields, to: endpoint, options: state.openAI)
                try Self.checkRouting(request, asked)
                return try await answer(asked, context.call)
            }
        }
    }

    /// Balancers that cannot read bodies go by a header; the body decides, so that they must agree.
    private static func checkRouting(_ request: Request, _ asked: OpenAIRequest) throws(OpenAIError) {
        guard let named = request.headers[.doraAdapter], named != asked.model else { return }
        throw .invalid("model", "is not what the header x-dora-adapter says")
    }

    private func answer(_ request: OpenAIRequest, _ call: HTTPCall) async throws -> Response {
        if state.isDraining { throw EngineError.draining }
        let stamp = OpenAIStamp(
            id: String(UInt64.random(in: 1...UInt64.max), radix: 16),
            created: Int(Date().timeIntervalSince1970))
        do {
            return try await request.streams ? stream(request, stamp, call) : whole(request, stamp, call)
        } catch let error as EngineError { throw await describe(error, request) }
    }

    // MARK: In one piece

    private func whole(_ request: OpenAIRequest, _ stamp: OpenAIStamp, _ call: HTTPCall) async throws
        -> Response
    {
        let events = try EngineSignals(request, by: call)
        var gathering = OpenAIGathering(request, stamp: stamp)
        for await case .event(let index, let event) in events.signals {
            call.notes.add(event)
            if case .failed(let error) = event {
                events.cancel()
                throw error
            }
            guard let answer = gathering.take(event, of: index) else { continue }
            guard case .reply(let reply) = answer else {
                throw OpenAIError.cancelled
            }
            var response = Response(json: answer.body)
            response.headers[.doraAdapter] = reply.adapter?.description
            response.headers[.doraIgnored] = OpenAIRequest.header(ignored: reply.ignored)
            return response
        }
        // Nobody waits any more.
        events.cancel()
        throw OpenAIError.cancelled
    }

    // MARK: As it is made

    /// The status goes out with the first event, which tells whether there will be an answer, or when a client must hear
    /// something.
    private func stream(_ request: OpenAIRequest, _ stamp: OpenAIStamp, _ call: HTTPCall) async throws
        -> Response
    {
        let events = try EngineSignals(request, by: call, ticking: settings.limits.ping / 5)
        var stream = EventStream(
            OpenAIStream(request, stamp: stamp), pingingAfter: settings.limits.ping)
        var head = HTTPFields()
        var first = ByteBuffer()
        var ignored = request.ignored
        for await signal in events.signals {
            if case .event(_, .failed(let error)) = signal {
                events.cancel()
                throw error
            }
            if case .event(_, .started(let start)) = signal {
                head[.doraAdapter] = start.adapter?.description
                ignored = request.ignored(in: start.language)
            }
            first = stream.take(signal, call.notes)
            if case .event = signal { break }
            if first.readableBytes > 0 { break }
        }
        head[.doraIgnored] = OpenAIRequest.header(ignored: ignored)
        head[.contentType] = "text/event-stream"
        head[.cacheControl] = "no-cache"
        head[.accelBuffering] = "no"
        let body = ResponseBody { [stream, first] writer in
            var stream = stream
            if first.readableBytes > 0 { try await writer.write(first) }
            if !stream.isDone {
                for await signal in events.signals {
                    let bytes = stream.take(signal, call.notes)
                    if bytes.readableBytes > 0 { try await writer.write(bytes) }
                    if stream.isDone { break }
                }
            }
            events.cancel()
            guard stream.isDone else { throw CancellationError() }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: head, body: body)
    }

    // MARK: Failures

    /// With what helps the client: other names, or when to come again.
    private func describe(_ error: EngineError, _ request: OpenAIRequest) async -> OpenAIError {
        var models: [String] = []
        if error.kind == .notFound { models = await listing.models().map(\.id) }
        var seconds = 1
        if error.kind == .busy { seconds = await state.engine.statistics.secondsOfQueue }
        return OpenAIError(error, for: request, models: models, retryAfter: seconds)
    }
}
