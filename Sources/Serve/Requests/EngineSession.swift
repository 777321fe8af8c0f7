import Dispatch
package import DoraRuntime

/// One client's way to the engine: a request is put into the language of the generation that answers it.
package struct EngineSession: Sendable {
    /// What is to be computed, in the language of a generation; `model` is what errors call it.
    package typealias Work = @Sendable (_ language: Language, _ model: String) throws -> EngineRequest.Work

    package let engine: Engine
    package let model: String
    /// The client's, of all that the engine has: among clients the engine is fair.
    package let number: Int

    package init(engine: Engine, model: String, number: Int) {
        self.engine = engine
        self.model = model
        self.number = number
    }

    /// - Parameters:
    ///   - serial: the request's number among the client's.
    ///   - report: called on the engine's thread, last with `finished` or `failed`.
    /// - Throws: why the request cannot even be queued.
    package func submit(
        _ serial: Int, to adapter: AdapterChoice, streams: Bool, _ work: @escaping Work,
        report: @escaping @Sendable (EngineEvent) -> Void
    ) throws(EngineError) {
        try engine.submit(
            EngineRequest(
                key: RequestKey(connection: number, serial: serial), adapter: adapter, streams: streams,
                elsewhere: { work in DispatchQueue.global().async { work() } },
                prepare: preparation(work), report: report))
    }

    /// The request finishes as cancelled at the next step, if it has not finished before.
    package func cancel(_ serial: Int) { engine.cancel(RequestKey(connection: number, serial: serial)) }

    /// The events of a request as they come; who stops listening cancels it.
    package func events(
        _ serial: Int, to adapter: AdapterChoice, streams: Bool, _ work: @escaping Work
    ) throws(EngineError) -> AsyncStream<EngineEvent> {
        let (events, continuation) = AsyncStream.makeStream(of: EngineEvent.self)
        continuation.onTermination = { [self] reason in
            if case .cancelled = reason { cancel(serial) }
        }
        try submit(serial, to: adapter, streams: streams, work) { event in
            continuation.yield(event)
            switch event {
            case .started, .piece: return
            case .finished, .failed: continuation.finish()
            }
        }
        return events
    }

    private func preparation(
        _ work: @escaping Work
    ) -> @Sendable (Language) throws(EngineError) -> EngineRequest.Work {
        { [model] language throws(EngineError) in
            do {
                return try work(language, model)
            } catch let problem as Prompt.Problem {
                throw EngineError(problem)
            } catch { throw EngineError(error) }
        }
    }
}
