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
        } catch let error as EngineError {
            throw await describe(error, request)
        } catch is CancellationError { throw OpenAIError.cancelled }
    }

    // MARK: In one piece

    private func whole(_ request: OpenAIRequest, _ stamp: OpenAIStamp, _ call: HTTPCall) async throws
        -> Response
    {
        let events = try PromptEvents(request, by: call)
        var gathering = OpenAIGathering(request, stamp: stamp)
        for await (index, event) in events.all {
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
            response.headers[.serverTiming] = reply.run.serverTiming
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
        let (stream, head) = try await EventStream.open(
            request, stamp, for: call, pingingAfter: settings.limits.ping)
        return Response(
            status: .ok, headers: head,
            body: ResponseBody { [writer = call.writer] _ in try await writer.pour(stream) })
    }

    // MARK: Failures

    /// With what helps the client: other names, or when to come again.
    private func describe(_ error: EngineError, _ request: OpenAIRequest) async -> OpenAIError {
        var models: [String] = []
        if error.kind == .notFound { models = await listing.page().models.map(\.id) }
        var seconds = 1
        if error.kind == .busy { seconds = await state.engine.statistics.secondsOfQueue }
        return OpenAIError(error, for: request, models: models, retryAfter: seconds)
    }
}

/// What comes of a request's prompts whose answer is one piece.
private struct PromptEvents: Sendable {
    /// Each with the index of its prompt.
    let all: AsyncStream<(index: Int, event: EngineEvent)>
    private let session: EngineSession
    private let serials: [Int]

    /// - Throws: why one of the prompts cannot be queued; then none is.
    init(_ request: OpenAIRequest, by call: HTTPCall) throws(EngineError) {
        session = call.session
        serials = request.prompts.indices.map { call.firstSerial + $0 }
        let (events, continuation) = AsyncStream.makeStream(of: (index: Int, event: EngineEvent).self)
        all = events
        for (index, serial) in serials.enumerated() {
            do throws(EngineError) {
                try session.submit(serial, to: request.adapter, streams: false) { language, model in
                    try request.work(index, in: language, model: model)
                } report: {
                    continuation.yield((index, $0))
                }
            } catch {
                cancel()
                throw error
            }
        }
    }

    /// Whatever still runs is of no use.
    func cancel() {
        for serial in serials { session.cancel(serial) }
    }
}
