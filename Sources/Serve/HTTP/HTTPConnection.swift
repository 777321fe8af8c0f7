import DoraRuntime
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// One client's channel: takes requests in, one at a time, lets them be answered, and says when enough is enough. Lives on
/// its event loop. Hummingbird routes; its own channel has no limits of time, answers nothing to what is no HTTP, and
/// loses keep-alive to whoever watches for a client that leaves.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    enum Stage {
        /// Nothing of a request is here.
        case idle
        /// Bytes of a head are.
        case head
        case body(HTTPIncoming)
        /// Parts that come in wait.
        case answering
        /// What comes in is thrown away.
        case closing
    }

    let server: HTTPServer
    var context: ChannelHandlerContext?
    /// What the server calls this connection; 0 if it was turned away.
    private(set) var number = 0
    var stage = Stage.idle
    var deadline = Deadline()
    /// The reply that is being written.
    var reply: HTTPReplyState?
    /// Of its body, if that is made bit by bit.
    var stream = StreamedParts()
    private var isReadPending = false
    private var isDraining = false
    /// What came in while a request was being answered.
    private var waiting: [HTTPServerRequestPart] = []
    /// What is wrong with the bytes behind that.
    private var problem: OpenAIError?
    private var task: Task<Void, Never>?
    private var nextSerial = 0

    init(_ server: HTTPServer) { self.server = server }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard let number = server.state.enter(context.channel) else {
            return refuse(OpenAIError(server.state.isDraining ? EngineError.draining : .tooManyConnections))
        }
        self.number = number
        rest()
        read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline.cancel()
        self.context = nil
        waiting = []
        // Who leaves wants no answer: nothing is computed for it any more.
        task?.cancel()
        if number != 0 {
            server.state.engine.cancelAll(ofConnection: number)
            server.state.leave(number)
        }
        // The task has made all of the body and is over: nobody else ends the reply.
        if stream.isComplete { abandonStream() }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch stage {
        case .answering: waiting.append(part)
        case .closing: return
        case .idle, .head, .body: take(part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadPending = false
        if case .idle = stage {
            // Bytes, and no head yet: its time runs from here, however slowly the others come.
            stage = .head
            expect(within: server.limits.head)
        }
        read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is DrainEvent else { return context.fireUserInboundEventTriggered(event) }
        isDraining = true
        if case .idle = stage { close() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            if case .closing = stage { return }
            return context.close(promise: nil)
        }
        switch stage {
        case .closing: return
        case .answering: problem = OpenAIError(error)
        case .idle, .head, .body: refuse(OpenAIError(error))
        }
    }

    /// While a request is answered nothing is read: a client that has left is seen without.
    private func read() {
        switch stage {
        case .answering: return
        case .idle, .head, .body, .closing: break
        }
        guard let context, !isReadPending else { return }
        isReadPending = true
        context.read()
    }

    // MARK: Requests in

    private func take(_ part: HTTPServerRequestPart) {
        do throws(OpenAIError) {
            switch (part, stage) {
            case (.head(let head), _):
                let incoming = try HTTPIncoming(head, maximumBody: server.state.limits.maximumLine)
                stage = .body(incoming)
                expect(within: server.limits.body)
                if incoming.awaitsContinue {
                    write(.head(HTTPResponseHead(version: .http1_1, status: .continue)))
                }
            case (.body(var bytes), .body(var incoming)):
                stage = .idle
                try incoming.append(&bytes)
                stage = .body(incoming)
            case (.end, .body(let incoming)): answer(incoming)
            case (.body, _), (.end, _): return
            }
        } catch { refuse(error) }
    }

    private func answer(_ incoming: HTTPIncoming) {
        guard let context else { return }
        stage = .answering
        deadline.stop()
        let writer = HTTPReplyWriter(self, on: context.eventLoop)
        let call = HTTPCall(
            id: incoming.id, isLocal: context.localAddress?.isLocal ?? false,
            session: EngineSession(engine: server.state.engine, model: server.state.model, number: number),
            firstSerial: nextSerial, logger: server.state.logger, writer: writer)
        nextSerial += HTTPCall.serials
        reply = HTTPReplyState(incoming, call)
        let request = Request(head: incoming.head, body: RequestBody(buffer: incoming.body))
        task = Task { [server] in
            let response = await server.response(to: request, call)
            await writer.write(response)
        }
    }

    /// A reply is written to its end.
    func finish(closing: Bool) {
        task = nil
        reply = nil
        stream = StreamedParts()
        guard context != nil else {
            // The task may have sent work to the engine after the channel had said goodbye.
            if number != 0 { server.state.engine.cancelAll(ofConnection: number) }
            return
        }
        if closing || isDraining { return close() }
        stage = .idle
        rest()
        let parts = waiting
        waiting = []
        for (index, part) in parts.enumerated() {
            if case .answering = stage {
                waiting = Array(parts[index...])
                return
            }
            take(part)
        }
        if case .answering = stage { return }
        if let problem { return refuse(problem) }
        read()
    }

    // MARK: Time

    /// Between two requests.
    private func rest() { expect(within: server.limits.idle) }

    func expect(within time: TimeAmount) {
        guard let context else { return }
        deadline.start(time, on: context.eventLoop) { [weak self] in self?.timeIsUp() }
    }

    private func timeIsUp() {
        switch stage {
        case .idle: close()
        case .head, .body:
            var error = OpenAIError(.timeout, "request_timeout", "the request took too long to come in")
            error.closes = true
            refuse(error)
        case .answering: dropSlowReader()
        case .closing: hangUp()
        }
    }

    // MARK: The end

    /// Answers what is no request that could be answered, and closes.
    private func refuse(_ error: OpenAIError) {
        guard context != nil else { return }
        stage = .answering
        deadline.stop()
        let response = Response(error)
        server.state.logger.info(
            "http refused",
            metadata: [
                "connection": "\(number)", "status": "\(error.status.rawValue)", "code": "\(error.code)",
            ])
        write(.head(HTTPResponseHead(version: .http1_1, response.head, closing: true)))
        write(.body(.byteBuffer(ByteBuffer(bytes: error.body))))
        write(.end(nil))
        close()
    }

    func write(_ part: HTTPServerResponsePart) {
        context?.writeAndFlush(wrapOutboundOut(part), promise: nil)
    }

    /// Closes once everything written is sent. What still comes in is thrown away until the client closes too: unread
    /// bytes would make the system reset the connection, and the last reply could be lost.
    func close() {
        guard let context else { return }
        if case .closing = stage { return }
        stage = .closing
        expect(within: server.limits.write)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer()))))
            .assumeIsolated().whenComplete { _ in
                guard let context = self.context else { return }
                self.expect(within: self.server.limits.farewell)
                context.close(mode: .output, promise: nil)
                self.read()
            }
    }

    func dropSlowReader() {
        server.state.logger.warning(
            "a client that does not read is dropped", metadata: ["connection": "\(number)"])
        hangUp()
    }

    /// Closes at once; what was not sent is lost.
    func hangUp() {
        stage = .closing
        context?.close(promise: nil)
    }
}
