import DoraRuntime

/// What comes of a request's prompts, as it comes, and a tick now and then while there may be nothing.
struct EngineSignals: Sendable {
    enum Signal: Sendable {
        /// Of the prompt of that index.
        case event(Int, EngineEvent)
        case tick
    }

    /// Signals that may wait for a client that reads slowly, some megabytes; then it is dropped.
    private static let mostWaiting = 1 << 14

    let signals: AsyncStream<Signal>
    private let session: EngineSession
    private let serials: [Int]

    /// - Parameter interval: of the ticks; nil for none.
    /// - Throws: why one of the prompts cannot be queued; then none is.
    init(
        _ request: OpenAIRequest, by call: HTTPCall, ticking interval: Duration? = nil
    ) throws(EngineError) {
        session = call.session
        serials = request.prompts.indices.map { call.firstSerial + $0 }
        let (signals, continuation) = AsyncStream.makeStream(
            of: Signal.self, bufferingPolicy: .bufferingOldest(Self.mostWaiting))
        self.signals = signals
        for (index, serial) in serials.enumerated() {
            do throws(EngineError) {
                try session.submit(serial, to: request.adapter, streams: request.streams) { language, model in
                    try request.work(index, in: language, model: model)
                } report: { [session] event in
                    guard case .dropped = continuation.yield(.event(index, event)) else { return }
                    continuation.finish()
                    session.cancel(serial)
                }
            } catch {
                cancel()
                throw error
            }
        }
        guard let interval else { return }
        let ticker = Task {
            while (try? await Task.sleep(for: interval)) != nil { continuation.yield(.tick) }
        }
        continuation.onTermination = { _ in ticker.cancel() }
    }

    /// Whatever still runs is of no use.
    func cancel() {
        for serial in serials { session.cancel(serial) }
    }
}
