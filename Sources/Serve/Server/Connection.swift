import DoraRuntime
import DoraText
import Logging
import NIOCore

/// One client's channel: cuts what it sends into lines, writes what comes back, and says when enough is enough. Lives on
/// its event loop. What the lines mean is in `Connection+Requests.swift`.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A JSON request that is being answered.
    struct InFlight {
        let id: RequestID?
        let isCancellable: Bool
    }

    let state: ServerState
    private(set) var context: ChannelHandlerContext?
    /// What the server calls this connection; 0 if it was turned away.
    private(set) var number = 0
    var role: Admission.Role
    var inFlight: [Int: InFlight] = [:]
    var nextSerial = 0
    private var lines: LineBuffer
    private var plain = PlainReplies()
    /// The client has sent its last byte; it still gets its replies.
    private var isInputClosed = false
    private var isDraining = false
    private var isClosing = false
    private var isReadPending = false
    /// A line has begun, and its time is running.
    private var isWithinLine = false
    private var unsentBytes = 0
    private var timeout: Scheduled<Void>?

    /// Replies to plain lines that may wait for one before them.
    private static let mostPlainReplies = 1024
    /// How long a client gets to take its last reply and close.
    private static let farewell = TimeAmount.seconds(1)

    init(_ state: ServerState) {
        self.state = state
        lines = LineBuffer(maximumLine: state.limits.maximumLine)
        role = state.admission.role(token: nil)
    }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard let number = state.enter(context.channel) else {
            send(ErrorLine(id: nil, error: state.isDraining ? .draining : .tooManyConnections))
            close()
            return
        }
        self.number = number
        restartTimeout()
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        self.context = nil
        inFlight = [:]
        if number != 0 {
            state.engine.cancelAll(ofConnection: number)
            state.leave(number)
        }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isClosing { lines.append(unwrapInboundIn(data)) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadPending = false
        if isClosing {
            context.read()
        } else {
            goOn()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            if isClosing {
                context.close(promise: nil)
            } else {
                takeLines()
            }
        case is DrainEvent:
            isDraining = true
            closeIfDone()
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { goOn() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Lines in

    /// Nothing is read while as much is being answered as is allowed, or while the client does not read.
    private var takesLines: Bool {
        guard let context, !isClosing else { return false }
        return inFlight.count < state.limits.maximumInFlight && plain.count < Self.mostPlainReplies
            && context.channel.isWritable
    }

    /// Takes and reads what may be taken and read now.
    func goOn() {
        takeLines()
        guard takesLines, !isReadPending, !isInputClosed else { return }
        isReadPending = true
        context?.read()
    }

    private func takeLines() {
        while takesLines {
            switch lines.next() {
            case .line(let line):
                isWithinLine = false
                take(line)
            case .tooLong:
                let message = "a line is longer than \(state.limits.maximumLine) bytes"
                send(ErrorLine(id: nil, error: EngineError(.invalidRequest, "line_too_long", message)))
                state.engine.cancelAll(ofConnection: number)
                close()
            case .incomplete:
                if isInputClosed, let rest = lines.rest() {
                    take(rest)
                    continue
                }
                // A line's time runs from its first byte, however slowly the others come.
                if !isWithinLine { restartTimeout() }
                isWithinLine = !lines.isEmpty
                closeIfDone()
                return
            }
        }
    }

    // MARK: Lines out

    /// A place for the reply to a plain line, in the order of the lines.
    func openPlain() -> Int { plain.open() }

    func answer(_ slot: Int, _ line: String) {
        for line in plain.fill(slot, line) { write(line) }
    }

    func send(_ line: some Encodable) {
        do { write(try line.jsonLine) } catch {
            state.logger.error("a reply could not be encoded", metadata: ["error": "\(error)"])
            hangUp()
        }
    }

    func send(_ line: JSONLine) { write(line.text) }

    private func write(_ line: String) {
        guard let context, !isClosing else { return }
        var buffer = context.channel.allocator.buffer(capacity: line.utf8.count + 1)
        buffer.writeString(line)
        buffer.writeInteger(UInt8(ascii: "\n"))
        // What came before is judged, not this reply: a client may ask for one that is larger than the limit.
        if unsentBytes > state.limits.maximumUnsent {
            state.logger.warning(
                "a client that does not read is dropped", metadata: ["connection": "\(number)"])
            hangUp()
            return
        }
        let count = buffer.readableBytes
        unsentBytes += count
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            self.unsentBytes -= count
        }
    }

    // MARK: The end

    /// All replies are sent: nothing keeps the connection when no more requests can come.
    func closeIfDone() {
        if inFlight.isEmpty && plain.isEmpty && (isDraining || isInputClosed && lines.isEmpty) { close() }
    }

    /// Closes once everything written is sent. What still comes in is thrown away until the client closes too: unread
    /// bytes would make the system reset the connection, and the last reply could be lost.
    func close() {
        guard let context, !isClosing else { return }
        isClosing = true
        // Also the end of those who never read their last reply.
        closeBy(.nanoseconds(state.limits.readTimeout.nanoseconds))
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            guard let context = self.context else { return }
            if self.isInputClosed || self.number == 0 {
                context.close(promise: nil)
            } else {
                self.closeBy(Self.farewell)
                context.close(mode: .output, promise: nil)
                context.read()
            }
        }
    }

    private func closeBy(_ time: TimeAmount) {
        timeout?.cancel()
        timeout = context?.eventLoop.assumeIsolated().scheduleTask(in: time) { self.hangUp() }
    }

    /// Closes at once; what was not sent is lost.
    func hangUp() {
        isClosing = true
        context?.close(promise: nil)
    }

    private func restartTimeout() {
        timeout?.cancel()
        guard let context else { return }
        let limit = lines.isEmpty ? state.limits.idleTimeout : state.limits.readTimeout
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(limit.nanoseconds)) {
            if self.inFlight.isEmpty && self.plain.isEmpty { self.close() } else { self.restartTimeout() }
        }
    }
}

extension EngineError {
    static let tooManyConnections = EngineError(.busy, "busy", "too many connections; try again later")
}
