import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// What is known of the reply in hand.
struct HTTPReplyState {
    let method: HTTPRequest.Method
    let path: String
    let version: HTTPVersion
    let isLast: Bool
    let call: HTTPCall
    var status = 0
    /// The head is written, and says so or not.
    var closes = false
    var unsent = 0

    init(_ incoming: HTTPIncoming, _ call: HTTPCall) {
        method = incoming.head.method
        path = incoming.head.path ?? ""
        version = incoming.version
        isLast = incoming.isLast
        self.call = call
    }
}

/// What of a streamed body waits to be handed to the channel.
struct StreamedParts {
    var bytes = ByteBuffer()
    /// They go out at the end of this turn of the event loop.
    var isDue = false
    /// Nothing comes behind them.
    var isComplete = false
}

/// Takes a response from the task that made it to the connection's event loop.
struct HTTPReplyWriter: Sendable {
    let connection: NIOLoopBound<HTTPConnection>
    let eventLoop: any EventLoop

    init(_ connection: HTTPConnection, on eventLoop: any EventLoop) {
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
        self.eventLoop = eventLoop
    }

    func write(_ response: Response) async {
        if response.body.contentLength == nil { return await stream(response) }
        let body = CollectedBody()
        try? await response.body.write(body)
        let bytes = body.buffer
        eventLoop.execute { connection.value.write(response.head, bytes) }
    }

    private func stream(_ response: Response) async {
        eventLoop.execute { connection.value.begin(response.head) }
        do {
            try await response.body.write(StreamedBody(writer: self))
            eventLoop.execute { connection.value.endStream() }
        } catch { eventLoop.execute { connection.value.abandonStream() } }
    }
}

/// A body that is there at once.
private final class CollectedBody: ResponseBodyWriter {
    private(set) var buffer = ByteBuffer()

    func write(_ bytes: ByteBuffer) async throws {
        var bytes = bytes
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
    }

    func finish(_ trailers: HTTPFields?) async throws {}
}

private struct StreamedBody: ResponseBodyWriter {
    let writer: HTTPReplyWriter

    func write(_ buffer: ByteBuffer) async throws {
        writer.eventLoop.execute { writer.connection.value.gather { $0.writeImmutableBuffer(buffer) } }
    }
    consuming func finish(_ trailers: HTTPFields?) async throws {}
}

extension HTTPConnection {
    /// Parts of a long body, each with its own time to be sent.
    private static let partSize = 128 << 10

    fileprivate func write(_ head: HTTPResponse, _ body: ByteBuffer) {
        guard begin(head) else { return abandonStream() }
        var body = body
        if reply?.method != .head {
            while let part = body.readSlice(length: min(body.readableBytes, Self.partSize)),
                part.readableBytes > 0
            {
                queue(.body(.byteBuffer(part)))
            }
        }
        endStream()
    }

    /// - Returns: whether anybody is there to read it.
    @discardableResult fileprivate func begin(_ head: HTTPResponse) -> Bool {
        guard let context, var reply else { return false }
        reply.status = head.status.code
        // HTTP/1.0 has no chunks: such a body ends with the connection.
        let isUnframed = reply.version == .http1_0 && head.headerFields[.contentLength] == nil
        reply.closes =
            reply.isLast || isUnframed || server.state.isDraining || head.headerFields[.connection] == "close"
        let head = HTTPResponseHead(version: reply.version, head, closing: reply.closes)
        self.reply = reply
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        return true
    }

    /// A part that was not waited for.
    private func queue(_ part: HTTPServerResponsePart) {
        guard let context else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        reply?.unsent += 1
        promise.futureResult.assumeIsolated().whenComplete { _ in self.sent() }
        context.write(wrapOutboundOut(part), promise: promise)
    }

    private func sent() {
        guard reply != nil else { return }
        reply?.unsent -= 1
        // Time runs while something waits to be sent, and anew with each part that was.
        guard reply?.unsent == 0 else { return expect(within: server.limits.write) }
        deadline.stop()
        if stream.bytes.readableBytes > 0 { sendSoon() }
    }

    /// Takes more of a streamed body. It goes out with whatever else this turn of the event loop brings; where a client
    /// reads slowly, it waits for what went before, and nobody waits for it.
    func gather(_ write: (inout ByteBuffer) -> Void) {
        guard context != nil, reply != nil else { return }
        write(&stream.bytes)
        if stream.bytes.readableBytes > server.state.limits.maximumUnsent { return dropSlowReader() }
        sendSoon()
    }

    private func sendSoon() {
        guard let context, !stream.isDue else { return }
        stream.isDue = true
        context.eventLoop.assumeIsolated().execute { self.sendGathered() }
    }

    private func sendGathered() {
        stream.isDue = false
        guard context != nil, reply?.unsent == 0 else { return }
        if let part = stream.bytes.readSlice(length: min(stream.bytes.readableBytes, Self.partSize)),
            part.readableBytes > 0
        {
            expect(within: server.limits.write)
            queue(.body(.byteBuffer(part)))
            context?.flush()
        }
        guard stream.bytes.readableBytes == 0 else { return }
        stream.bytes.clear()
        if stream.isComplete { endStream() }
    }

    fileprivate func endStream() {
        guard let context, let reply else { return abandonStream() }
        stream.isComplete = stream.bytes.readableBytes > 0
        if stream.isComplete { return }
        expect(within: server.limits.write)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            self.deadline.stop()
            self.log()
            self.finish(closing: reply.closes)
        }
    }

    /// The client has left, or the reply cannot be finished: then its end must not look like one.
    func abandonStream() {
        if reply?.status == 0 { reply?.status = OpenAIError.Status.cancelled.rawValue }
        log()
        hangUp()
        finish(closing: true)
    }

    /// One line for a request; never what was asked or answered.
    private func log() {
        guard let reply else { return }
        server.log(reply, connection: number)
    }
}

extension HTTPResponseHead {
    init(version: HTTPVersion, _ response: HTTPResponse, closing: Bool) {
        self.init(
            version: version, status: HTTPResponseStatus(statusCode: response.status.code))
        for field in response.headerFields where field.name != .connection {
            headers.add(name: field.name.rawName, value: field.value)
        }
        headers.add(name: "date", value: HTTPDate.now)
        if closing {
            headers.add(name: "connection", value: "close")
        } else if version == .http1_0 {
            headers.add(name: "connection", value: "keep-alive")
        }
    }
}
