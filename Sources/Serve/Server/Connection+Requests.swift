import DoraRuntime
import NIOCore

/// What a client's lines ask for: requests go to the engine, and its events come back as lines.
extension Connection {
    func take(_ line: [UInt8]) {
        guard let first = line.first else { return }
        if BrowserLine.isOne(line) {
            // A web page can make a browser send this; nothing after it is a request of the user's.
            hangUp()
        } else if first == UInt8(ascii: "{") {
            takeJSON(line)
        } else if role > .stranger {
            takePlain(line)
        } else {
            answer(openPlain(), PlainText.line(for: .unauthorized))
            close()
        }
    }

    private func takeJSON(_ line: [UInt8]) {
        do {
            let request = try LineRequest(line: line)
            if case .hello(let token) = request.operation {
                greet(request.id, token)
            } else if role > .stranger {
                perform(request)
            } else {
                refuseStranger(request.id)
            }
        } catch { send(ErrorLine(id: error.id, error: error.error)) }
    }

    private func greet(_ id: RequestID?, _ token: String?) {
        role = max(role, state.admission.role(token: token))
        guard role > .stranger else { return refuseStranger(id) }
        send(ResultLine(id: id, result: state.hello))
    }

    private func refuseStranger(_ id: RequestID?) {
        send(ErrorLine(id: id, error: .unauthorized))
        close()
    }

    private func takePlain(_ line: [UInt8]) {
        let slot = openPlain()
        do {
            guard let text = String(validating: line, as: UTF8.self) else {
                throw EngineError(.invalidRequest, "bad_utf8", "the line is not valid UTF-8")
            }
            let prompt = try PlainText.unescape(text)
            let serial = newSerial(InFlight(id: nil, isCancellable: false))
            let request = LineRequest.Generate(prompt: .text(prompt))
            submit(serial, .standard, streams: false, request.work) { connection, event in
                switch event {
                case .started, .piece: return
                case .finished(let reply):
                    connection.answer(slot, PlainText.escape(reply.completion.text ?? ""))
                case .failed(let error): connection.answer(slot, PlainText.line(for: error))
                }
            }
        } catch let error as PlainText.BadEscape {
            answer(slot, PlainText.line(for: EngineError(.invalidRequest, "bad_escape", "\(error)")))
        } catch { answer(slot, PlainText.line(for: EngineError(error))) }
    }

    private func perform(_ request: LineRequest) {
        if let id = request.id, inFlight.values.contains(where: { $0.id == id }) {
            let message = "a request with this id is being answered"
            send(ErrorLine(id: id, error: EngineError(.conflict, "duplicate_id", message, param: "id")))
            return
        }
        let id = request.id
        if request.operation.isAdministrative && role < .administrator {
            return send(ErrorLine(id: id, error: .administratorsOnly))
        }
        switch request.operation {
        case .generate(let request): answer(id, request)
        case .score(let request): answer(id, request)
        case .openAI(let call): openAI(id, call)
        case .hello: return
        case .cancel(let target): cancel(id, target)
        case .ping: send(ResultLine(id: id, result: PingResult()))
        case .ready: send(ResultLine(id: id, result: ReadyResult(ready: state.isReady)))
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

    private func answer(_ id: RequestID?, _ request: some LineWork) {
        let serial = newSerial(InFlight(id: id, isCancellable: true))
        submit(serial, request.adapter, streams: request.streams, request.work) { connection, event in
            guard let line = request.line(for: event, id: id) else { return }
            connection.send(line)
        }
    }

    private func openAI(_ id: RequestID?, _ call: OpenAICall) {
        var exchange: OpenAIExchange
        do throws(OpenAIError) { exchange = try OpenAIExchange(call, id, state.openAI) } catch {
            return send(OpenAILine(id: id, answer: .failure(error)).json)
        }
        let adapter = exchange.request.adapter
        for index in exchange.request.prompts.indices {
            let serial = newSerial(InFlight(id: id, isCancellable: true))
            submit(serial, adapter, streams: false, exchange.work(index)) { connection, event in
                if let line = exchange.take(event, of: index) { connection.send(line) }
            }
        }
    }

    private func cancel(_ id: RequestID?, _ target: RequestID) {
        let serials = inFlight.filter { $0.value.id == target && $0.value.isCancellable }.keys.sorted()
        for serial in serials { session.cancel(serial) }
        send(ResultLine(id: id, result: CancelResult(cancelled: !serials.isEmpty)))
    }

    // MARK: The engine

    private var session: EngineSession {
        EngineSession(engine: state.engine, model: state.model, number: number)
    }

    private func newSerial(_ request: InFlight) -> Int {
        nextSerial += 1
        inFlight[nextSerial] = request
        return nextSerial
    }

    /// Sends a request to the engine; `take` gets its events back on the event loop, unless the client has gone.
    private func submit(
        _ serial: Int, _ adapter: AdapterChoice, streams: Bool, _ work: @escaping EngineSession.Work,
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
        do throws(EngineError) {
            if state.isDraining { throw EngineError.draining }
            try session.submit(serial, to: adapter, streams: streams, work, report: report)
        } catch { report(.failed(error)) }
    }

    private func receive(_ serial: Int, _ event: EngineEvent, _ take: (Connection, EngineEvent) -> Void) {
        guard context != nil, let request = inFlight[serial] else { return }
        switch event {
        case .started, .piece:
            take(self, event)
            return
        case .finished, .failed: break
        }
        inFlight[serial] = nil
        state.log(event, connection: number, id: request.id)
        take(self, event)
        goOn()
        closeIfDone()
    }

    /// Asks the engine something and answers with its result.
    private func ask<Value: Sendable, Result: Encodable & SendableMetatype>(
        _ id: RequestID?, _ question: (@escaping @Sendable (Value) -> Void) -> Void,
        answer: @escaping (Value) throws(EngineError) -> Result
    ) {
        guard let context else { return }
        let serial = newSerial(InFlight(id: id, isCancellable: false))
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
                connection.goOn()
                connection.closeIfDone()
            }
        }
    }
}

extension EngineError {
    static let unauthorized = EngineError(
        .invalidRequest, "unauthorized",
        "the first line must be {\"op\":\"hello\",\"token\":…} with the server's token", param: "token")
}

extension EngineError {
    static let administratorsOnly = EngineError(
        .invalidRequest, "admin_only", "this needs a token of --admin-token-file", param: "op")
}

extension LineRequest.Operation {
    /// Whether it changes the server for everybody.
    fileprivate var isAdministrative: Bool {
        switch self {
        case .load, .unload, .drain: true
        default: false
        }
    }
}

/// What a browser sends.
enum BrowserLine {
    /// `GET /path HTTP/1.1` and the like.
    static func isOne(_ line: [UInt8]) -> Bool {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty else { return false }
        return words[2].starts(with: "HTTP/".utf8)
            && words[0].allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    }
}
