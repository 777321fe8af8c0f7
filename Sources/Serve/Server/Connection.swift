import DoraLoader
import DoraRuntime
import Logging
import NIOCore

/// One client: reads its lines, sends its requests to the engine, and writes what comes back. Lives on its event loop.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A JSON request that is being answered.
    private struct InFlight {
        let id: RequestID?
        let request: LineRequest.Generate?
    }

    private let state: ServerState
    private var context: ChannelHandlerContext?
    private var lines: LineBuffer
    private var number = 0
    private var nextSerial = 0
    private var inFlight: [Int: InFlight] = [:]
    private var plain = PlainReplies()
    private var isAuthenticated: Bool
    /// The client has sent its last byte; it still gets its replies.
    private var isInputClosed = false
    private var isDraining = false
    private var isClosing = false
    private var isReadPending = false
    private var unsentBytes = 0
    private var timeout: Scheduled<Void>?

    init(_ state: ServerState) {
        self.state = state
        lines = LineBuffer(maximumLine: state.limits.maximumLine)
        isAuthenticated = state.token == nil
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
        if !inFlight.isEmpty { state.engine.cancelAll(ofConnection: number) }
        inFlight = [:]
        if number != 0 { state.leave(number) }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadPending = false
        takeLines()
        readMore()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            takeLines()
        case is DrainEvent:
            isDraining = true
            closeIfDone()
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        takeLines()
        readMore()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Nothing is read while as much is being answered as is allowed, or while the client does not read.
    private var takesLines: Bool {
        guard let context, !isClosing else { return false }
        return inFlight.count < state.limits.maximumInFlight && context.channel.isWritable
    }

    private func readMore() {
        guard takesLines, !isReadPending, !isInputClosed else { return }
        isReadPending = true
        context?.read()
    }

    private func takeLines() {
        while takesLines {
            switch lines.next() {
            case .line(let line): take(line)
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
                restartTimeout()
                closeIfDone()
                return
            }
        }
    }

    /// All replies are sent: nothing keeps the connection when no more requests can come.
    private func closeIfDone() {
        if inFlight.isEmpty && plain.isEmpty && (isDraining || isInputClosed && lines.isEmpty) { close() }
    }

    private func close() {
        guard let context, !isClosing else { return }
        isClosing = true
        // After everything written before it.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    private func restartTimeout() {
        timeout?.cancel()
        guard let context else { return }
        let isReading = !lines.isEmpty
        let limit = isReading ? state.limits.readTimeout : state.limits.idleTimeout
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(limit.nanoseconds)) {
            if self.inFlight.isEmpty && self.plain.isEmpty { self.close() } else { self.restartTimeout() }
        }
    }

    // MARK: Lines in

    private func take(_ line: [UInt8]) {
        guard let first = line.first else { return }
        if Self.isHTTP(line) {
            // A web page can make a browser send this; nothing after it is a request of the user's.
            state.engine.cancelAll(ofConnection: number)
            context?.close(promise: nil)
            isClosing = true
            return
        }
        if first == UInt8(ascii: "{") {
            takeJSON(line)
        } else if isAuthenticated {
            takePlain(line)
        } else {
            refuseStranger(nil)
        }
    }

    private func takeJSON(_ line: [UInt8]) {
        do {
            let request = try LineRequest(line: line)
            if case .hello(let token) = request.operation {
                greet(request.id, token)
            } else if isAuthenticated {
                perform(request)
            } else {
                refuseStranger(request.id)
            }
        } catch { send(ErrorLine(id: error.id, error: error.error)) }
    }

    private func greet(_ id: RequestID?, _ token: String?) {
        if let expected = state.token, !isAuthenticated {
            guard Self.isEqual(Array((token ?? "").utf8), expected) else { return refuseStranger(id) }
            isAuthenticated = true
        }
        send(ResultLine(id: id, result: state.hello))
    }

    private func refuseStranger(_ id: RequestID?) {
        let message = "the first line must be {\"op\":\"hello\",\"token\":…} with the server's token"
        send(ErrorLine(id: id, error: EngineError(.invalidRequest, "unauthorized", message, param: "token")))
        close()
    }

    private func takePlain(_ line: [UInt8]) {
        let slot = plain.open()
        do {
            guard let text = String(validating: line, as: UTF8.self) else {
                throw EngineError(.invalidRequest, "bad_utf8", "the line is not valid UTF-8")
            }
            let prompt = try PlainText.unescape(text)
            let serial = newSerial(InFlight(id: nil, request: nil))
            submit(serial, LineRequest.Generate(prompt: .text(prompt))) { connection, event in
                switch event {
                case .piece: return
                case .finished(let reply):
                    connection.answer(slot, PlainText.escape(reply.completion.text ?? ""))
                case .failed(let error): connection.answer(slot, "!\(error.code): \(error.message)")
                }
            }
        } catch let error as PlainText.BadEscape {
            answer(slot, "!bad_escape: \(error)")
        } catch {
            let error = EngineError(error)
            answer(slot, "!\(error.code): \(error.message)")
        }
    }

    private func perform(_ request: LineRequest) {
        if let id = request.id, inFlight.values.contains(where: { $0.id == id }) {
            let message = "a request with this id is being answered"
            send(ErrorLine(id: id, error: EngineError(.conflict, "duplicate_id", message, param: "id")))
            return
        }
        let id = request.id
        switch request.operation {
        case .generate(let generate): self.generate(id, generate)
        case .hello: return
        case .cancel(let target): cancel(id, target)
        case .ping: send(ResultLine(id: id, result: PingResult()))
        case .ready: send(ResultLine(id: id, result: ReadyResult(ready: !state.isDraining)))
        case .drain:
            send(ResultLine(id: id, result: DrainResult(draining: true)))
            state.requestDrain()
        case .adapters:
            ask(id) {
                self.state.engine.adapters($0)
            } answer: {
                AdaptersResult($0)
            }
        case .stats:
            let connections = state.connectionCount
            ask(id) {
                self.state.engine.statistics($0)
            } answer: {
                StatsResult($0, connections: connections)
            }
        case .load(let order):
            ask(id) {
                self.state.engine.load(order, reply: $0)
            } answer: { result throws(EngineError) in
                LoadResult(adapter: try result.get().description)
            }
        case .unload(let name, let disable):
            ask(id) {
                self.state.engine.unload(name, disable: disable, reply: $0)
            } answer: { result throws(EngineError) in
                try result.get()
                return UnloadResult(unloaded: name)
            }
        }
    }

    private func generate(_ id: RequestID?, _ request: LineRequest.Generate) {
        let serial = newSerial(InFlight(id: id, request: request))
        submit(serial, request) { connection, event in
            switch event {
            case .piece(let text, let tokenIDs):
                connection.send(PieceLine(id: id, text: text, token_ids: tokenIDs))
            case .finished(let reply):
                connection.send(CompletionLine(id: id, reply: reply, hasLogprobs: request.logprobs != nil))
            case .failed(let error): connection.send(ErrorLine(id: id, error: error))
            }
        }
    }

    private func cancel(_ id: RequestID?, _ target: RequestID) {
        let serial = inFlight.first { $0.value.id == target && $0.value.request != nil }?.key
        if let serial { state.engine.cancel(RequestKey(connection: number, serial: serial)) }
        send(ResultLine(id: id, result: CancelResult(cancelled: serial != nil)))
    }

    // MARK: The engine

    private func newSerial(_ request: InFlight) -> Int {
        nextSerial += 1
        inFlight[nextSerial] = request
        return nextSerial
    }

    /// Sends a request to the engine; `take` gets its events back on the event loop, unless the client has gone.
    private func submit(
        _ serial: Int, _ request: LineRequest.Generate,
        _ take: @escaping (_ connection: Connection, _ event: EngineEvent) -> Void
    ) {
        guard let context else { return }
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((connection: self, take: take), eventLoop: eventLoop)
        let report: @Sendable (EngineEvent) -> Void = { event in
            eventLoop.execute {
                let (connection, take) = bound.value
                connection.receive(serial, event, take)
            }
        }
        do {
            if state.isDraining { throw EngineError.draining }
            let ids = try request.prompt.encoded(
                by: state.tokenizer, model: state.model, addingSpecialTokens: request.addsSpecialTokens)
            try state.engine.submit(
                EngineRequest(
                    key: RequestKey(connection: number, serial: serial), adapter: request.adapter,
                    generation: GenerationRequest(
                        prompt: ids, maximumTokens: request.maximumTokens, stops: request.stops,
                        ignoresEOS: request.ignoresEOS, logprobs: request.logprobs),
                    streams: request.streams, report: report))
        } catch let problem as Prompt.Problem {
            report(.failed(EngineError(.invalidRequest, "bad_prompt", "\(problem)", param: "prompt")))
        } catch { report(.failed(EngineError(error))) }
    }

    private func receive(_ serial: Int, _ event: EngineEvent, _ take: (Connection, EngineEvent) -> Void) {
        guard context != nil, let request = inFlight[serial] else { return }
        if case .piece = event {
            take(self, event)
            return
        }
        inFlight[serial] = nil
        state.log(event, connection: number, id: request.id)
        take(self, event)
        takeLines()
        readMore()
        closeIfDone()
    }

    /// Asks the engine something and answers with its result.
    private func ask<Value: Sendable, Result: Encodable & SendableMetatype>(
        _ id: RequestID?, _ question: (@escaping @Sendable (Value) -> Void) -> Void,
        answer: @escaping (Value) throws(EngineError) -> Result
    ) {
        guard let context else { return }
        let serial = newSerial(InFlight(id: id, request: nil))
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((connection: self, answer: answer), eventLoop: eventLoop)
        question { value in
            eventLoop.execute {
                let (connection, answer) = bound.value
                guard connection.context != nil else { return }
                connection.inFlight[serial] = nil
                do throws(EngineError) {
                    connection.send(ResultLine(id: id, result: try answer(value)))
                } catch { connection.send(ErrorLine(id: id, error: error)) }
                connection.takeLines()
                connection.readMore()
                connection.closeIfDone()
            }
        }
    }

    // MARK: Lines out

    private func answer(_ slot: Int, _ line: String) {
        for line in plain.fill(slot, line) { write(line) }
    }

    private func send(_ line: some Encodable) {
        do { write(try line.jsonLine) } catch {
            state.logger.error("a reply could not be encoded", metadata: ["error": "\(error)"])
            context?.close(promise: nil)
        }
    }

    private func write(_ line: String) {
        guard let context, !isClosing else { return }
        var buffer = context.channel.allocator.buffer(capacity: line.utf8.count + 1)
        buffer.writeString(line)
        buffer.writeInteger(UInt8(ascii: "\n"))
        let count = buffer.readableBytes
        unsentBytes += count
        if unsentBytes > state.limits.maximumUnsent {
            state.logger.warning(
                "a client that does not read is dropped", metadata: ["connection": "\(number)"])
            isClosing = true
            context.close(promise: nil)
            return
        }
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            self.unsentBytes -= count
        }
    }

    // MARK: Checks

    /// `GET /path HTTP/1.1` and the like.
    private static func isHTTP(_ line: [UInt8]) -> Bool {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty else { return false }
        return words[2].starts(with: "HTTP/".utf8)
            && words[0].allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    }

    /// In a time that does not tell how much of the token was right.
    private static func isEqual(_ found: [UInt8], _ expected: [UInt8]) -> Bool {
        guard found.count == expected.count else { return false }
        return zip(found, expected).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension EngineError {
    static let tooManyConnections = EngineError(.busy, "busy", "too many connections; try again later")
}
