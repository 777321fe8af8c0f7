import DoraRuntime
import HTTPTypes
import NIOCore

/// A reply as server-sent events: each object in a line of data, then `[DONE]`; a comment where a client would hear
/// nothing for long.
///
/// Lives on its connection's event loop. The engine's events come straight there, become bytes there, and leave with that
/// turn of the loop: no task is woken for a token.
final class EventStream {
    private enum Stage {
        /// Nobody knows yet whether there will be an answer.
        case waiting
        /// The head may go out; what comes meanwhile is kept.
        case begun(ByteBuffer)
        case pouring(HTTPConnection, EventLoopPromise<Void>)
        case over
    }

    private var objects: OpenAIStream
    private let call: HTTPCall
    private let silence: TimeAmount
    private let quiet = Deadline()
    private var stage = Stage.waiting
    /// The headers, once something tells that there will be an answer, or when a client must hear something.
    private let head: EventLoopPromise<HTTPFields>

    private init(_ objects: OpenAIStream, for call: HTTPCall, pingingAfter silence: TimeAmount) {
        self.objects = objects
        self.call = call
        self.silence = silence
        head = call.writer.eventLoop.makePromise()
    }

    /// Sends the request's prompts to the engine, and waits for what its head says.
    /// - Throws: why there will be no answer, as `EngineError`; `CancellationError`
    static func open(
        _ request: OpenAIRequest, _ stamp: OpenAIStamp, for call: HTTPCall, pingingAfter silence: TimeAmount
    ) async throws -> (stream: NIOLoopBoundBox<EventStream>, head: HTTPFields) {
        let eventLoop = call.writer.eventLoop
        let stream = EventStream(OpenAIStream(request, stamp: stamp), for: call, pingingAfter: silence)
        let head = stream.head.futureResult
        let bound = NIOLoopBoundBox.makeBoxSendingValue(stream, eventLoop: eventLoop)
        let abandon: @Sendable () -> Void = { eventLoop.execute { bound.value.abandon() } }
        eventLoop.execute { bound.value.rest() }
        do throws(EngineError) {
            for index in request.prompts.indices {
                try call.session.submit(call.firstSerial + index, to: request.adapter, streams: true) {
                    language, model in
                    try request.work(index, in: language, model: model)
                } report: { event in
                    eventLoop.execute { bound.value.take(event, of: index) }
                }
            }
        } catch {
            abandon()
            throw error
        }
        return (
            bound,
            try await withTaskCancellationHandler {
                try await head.get()
            } onCancel: {
                abandon()
            }
        )
    }

    private func take(_ event: EngineEvent, of index: Int) {
        if case .waiting = stage {
            if case .failed(let error) = event { return fail(error) }
            begin(with: event)
        }
        if case .over = stage { return }
        call.notes.add(event)
        write { bytes in
            for object in objects.take(event, of: index) {
                bytes.writeStaticString("data: ")
                bytes.writeBytes(object)
                bytes.writeStaticString("\n\n")
            }
            if objects.isDone { bytes.writeStaticString("data: [DONE]\n\n") }
        }
        if objects.isDone { end() } else { rest() }
    }

    private func begin(with event: EngineEvent? = nil) {
        var fields = HTTPFields()
        var ignored = objects.request.ignored
        if case .started(let start) = event {
            fields[.doraAdapter] = start.adapter?.description
            ignored = objects.request.ignored(in: start.language)
        }
        fields[.doraIgnored] = OpenAIRequest.header(ignored: ignored)
        fields[.contentType] = "text/event-stream"
        fields[.cacheControl] = "no-cache"
        fields[.accelBuffering] = "no"
        stage = .begun(ByteBuffer())
        head.succeed(fields)
    }

    /// Lets everything that was made, and will be made, go out.
    /// - Returns: when that is all.
    fileprivate func pour(into connection: HTTPConnection) -> EventLoopFuture<Void> {
        let done = call.writer.eventLoop.makePromise(of: Void.self)
        if case .begun(var bytes) = stage {
            stage = .pouring(connection, done)
            if bytes.readableBytes > 0 { write { $0.writeBuffer(&bytes) } }
            if objects.isDone { end() }
        } else {
            done.fail(CancellationError())
        }
        return done.futureResult
    }

    private func write(_ body: (inout ByteBuffer) -> Void) {
        switch stage {
        case .begun(var bytes):
            stage = .over
            body(&bytes)
            stage = .begun(bytes)
        case .pouring(let connection, _): connection.gather(body)
        case .waiting, .over: return
        }
    }

    private func rest() {
        if case .over = stage { return }
        quiet.start(silence, on: call.writer.eventLoop) { [weak self] in self?.ping() }
    }

    private func ping() {
        if case .waiting = stage { begin() }
        write { $0.writeStaticString(": ping\n\n") }
        rest()
    }

    private func end() {
        quiet.cancel()
        guard case .pouring(_, let done) = stage else { return }
        stage = .over
        // Of several choices one may have failed: the others are of no use.
        cancel()
        done.succeed()
    }

    /// Nobody wants the rest.
    fileprivate func abandon() { fail(CancellationError()) }

    private func fail(_ error: any Error) {
        quiet.cancel()
        cancel()
        switch stage {
        case .waiting: head.fail(error)
        case .pouring(_, let done): done.fail(error)
        case .begun, .over: break
        }
        stage = .over
    }

    private func cancel() {
        for index in objects.request.prompts.indices { call.session.cancel(call.firstSerial + index) }
    }
}

extension HTTPReplyWriter {
    /// The body of a streamed reply.
    func pour(_ stream: NIOLoopBoundBox<EventStream>) async throws {
        try await withTaskCancellationHandler {
            try await eventLoop.flatSubmit { stream.value.pour(into: connection.value) }.get()
        } onCancel: {
            eventLoop.execute { stream.value.abandon() }
        }
    }
}
