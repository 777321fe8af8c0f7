import DoraLoader
package import DoraRuntime
package import DoraText
import Synchronization

/// Requests that are answered in this process.
package final class LocalAnswerer: Answerer {
    private let session: EngineSession
    private let serials = Atomic(0)
    package let capacity = 256
    package let maximumLine = 16 << 20

    package init(_ session: EngineSession) { self.session = session }

    /// Loads a base; adapters are merged when they are named.
    /// - Throws: `LoadError` and what the layers below throw.
    package convenience init(_ model: ModelSettings, _ settings: EngineSettings) throws {
        // A mistake in an adapter's path need not wait for the model.
        for folder in try EngineSettings.folders(settings.adapters) {
            do throws(LoadError) { _ = try AdapterConfiguration(folder: folder) } catch {
                if error.code == .missing, error.field == nil { throw error }
            }
        }
        let base = try LoadedBase(model, progress: Terminal.show)
        for warning in base.warnings { Terminal.note("warning: \(warning)") }
        var settings = settings
        // Nobody is turned away: `capacity` bounds what waits, some of it for the answers to many prompts.
        settings.maximumQueue = 1 << 20
        let engine = try settings.engine(over: base) { notice in
            guard case .loaded(let identity, _, _, _, let warnings) = notice, !warnings.isEmpty else {
                return
            }
            if Terminal.showsProgress { Terminal.showStatus("") }
            for warning in warnings { Terminal.note("warning: \(identity.name): \(warning)") }
        }
        self.init(EngineSession(engine: engine, model: model.model, number: 1))
    }

    package func answer(
        _ request: JSONObject, as number: Int
    ) -> AsyncThrowingStream<JSONObject, any Error> {
        let (lines, continuation) = AsyncThrowingStream.makeStream(of: JSONObject.self)
        let task = Task {
            do {
                try await answer(request, .int(number)) { line in
                    if let object = try JSONValue(parsing: Array(line.utf8)).object {
                        continuation.yield(object)
                    }
                }
                continuation.finish()
            } catch { continuation.finish(throwing: error) }
        }
        continuation.onTermination = { reason in
            if case .cancelled = reason { task.cancel() }
        }
        return lines
    }

    /// Hands the lines that answer a request to `take`: those that a server would send.
    private func answer(
        _ object: JSONObject, _ id: RequestID, _ take: (String) throws -> Void
    ) async throws {
        let request: LineRequest
        do throws(BadLine) { request = try LineRequest(object.without("id")) } catch {
            return try take(ErrorLine(id: id, error: error.error).jsonLine)
        }
        switch request.operation {
        case .generate(let request): try await answer(request, id, take)
        case .score(let request): try await answer(request, id, take)
        case .openAI(let call): try await answer(call, id, take)
        default:
            let error = EngineError(
                .invalidRequest, "bad_request", "there is no server to ask for this", param: "op")
            try take(ErrorLine(id: id, error: error).jsonLine)
        }
    }

    private func answer(
        _ request: some LineWork, _ id: RequestID, _ take: (String) throws -> Void
    ) async throws {
        let events: AsyncStream<EngineEvent>
        do throws(EngineError) {
            events = try submit(request.adapter, streams: request.streams, request.work)
        } catch { return try take(ErrorLine(id: id, error: error).jsonLine) }
        for await event in events {
            if let line = request.line(for: event, id: id) { try take(line.jsonLine) }
        }
    }

    private func answer(
        _ call: OpenAICall, _ id: RequestID, _ take: (String) throws -> Void
    ) async throws {
        var exchange: OpenAIExchange
        do throws(OpenAIError) {
            exchange = try OpenAIExchange(call, id, OpenAIOptions(model: session.model))
        } catch { return try take(OpenAILine(id: id, answer: .failure(error)).json.text) }
        // All are queued before the first is waited for.
        var all: [Result<AsyncStream<EngineEvent>, EngineError>] = []
        for index in exchange.request.prompts.indices {
            do throws(EngineError) {
                all.append(
                    .success(
                        try submit(exchange.request.adapter, streams: false, exchange.work(index))))
            } catch { all.append(.failure(error)) }
        }
        for (index, result) in all.enumerated() {
            switch result {
            case .failure(let error):
                if let line = exchange.take(.failed(error), of: index) { try take(line.text) }
            case .success(let events):
                for await event in events {
                    if let line = exchange.take(event, of: index) { try take(line.text) }
                }
            }
        }
    }

    private func submit(
        _ adapter: AdapterChoice, streams: Bool, _ work: @escaping EngineSession.Work
    ) throws(EngineError) -> AsyncStream<EngineEvent> {
        try session.events(
            serials.add(1, ordering: .relaxed).newValue, to: adapter, streams: streams, work)
    }

    package func adapterNames() async throws -> [String] {
        await withCheckedContinuation { continuation in
            session.engine.adapters { statuses in continuation.resume(returning: statuses.map(\.name)) }
        }
    }
}
