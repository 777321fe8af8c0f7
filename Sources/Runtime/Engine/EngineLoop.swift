import DoraLoader
import DoraTensor

/// The engine's thread: takes messages, runs steps, and merges adapters between them.
struct EngineLoop {
    /// A request that waits: for its adapter, for being put into its adapter's language, for a place among the running.
    struct Waiting {
        let request: EngineRequest
        var prepared: PreparedWork?
        var adapter: AdapterIdentity?
        let arrival: ContinuousClock.Instant
        var mergeTime = Duration.zero
    }

    let base: BaseModel
    let languages: Languages
    let directory: LanguageDirectory
    let context: Int
    let options: Engine.Options
    let queueLimit: QueueLimit
    let inbox: Inbox<EngineMessage>
    let compute: Compute
    var registry: AdapterRegistry
    var queue = FairQueue<AdapterIdentity?, Waiting>()
    /// Requests that wait for a load, in the order of their arrival.
    var waitingForLoad: [AdapterRegistry.Ticket: [Waiting]] = [:]
    /// Requests that are being put into their generation's language, which they have leased.
    var inPreparation: [Int: Waiting] = [:]
    private var preparations = 0
    var loadReplies: [AdapterRegistry.Ticket: [@Sendable (Result<AdapterIdentity, EngineError>) -> Void]] =
        [:]
    /// Loads whose files are still to be read.
    var toRead: [AdapterRegistry.Load] = []
    var isReading = false
    var merges: [PendingMerge] = []
    var batch: Batch
    var statistics = EngineStatistics()

    init(
        base: BaseModel, languages: Languages, directory: LanguageDirectory, context: Int, pass: ForwardPass,
        options: Engine.Options, queue: QueueLimit, inbox: Inbox<EngineMessage>, compute: Compute
    ) {
        self.base = base
        self.languages = languages
        self.directory = directory
        self.context = context
        self.options = options
        self.inbox = inbox
        self.compute = compute
        queueLimit = queue
        registry = AdapterRegistry(
            budget: options.adapterBytes, adapters: options.adapters, standard: options.standard,
            root: options.root)
        batch = Batch(
            pass: pass, context: context, maximumSequences: options.maximumSequences,
            bytes: options.keyValueBytes, guesses: options.guesses)
    }

    /// Returns when the engine is no longer wanted.
    mutating func run() {
        // Of a merge that is not done.
        defer { compute.heap.keepReturned(false) }
        while true {
            let isIdle = batch.isEmpty && queue.isEmpty && merges.isEmpty
            for message in inbox.receive(waiting: isIdle) {
                if case .stop = message { return }
                take(message)
            }
            publishLanguages()
            admit()
            let stepTime = ContinuousClock().measure { step() }
            mergeBeside(batch.isEmpty ? .zero : stepTime)
            readNext()
        }
    }

    private mutating func take(_ message: EngineMessage) {
        switch message {
        case .generate(let request, let prepared, let arrival):
            bind(Waiting(request: request, prepared: prepared, arrival: arrival))
        case .prepared(let number, let result): take(number, result)
        case .cancel(let key): cancel { $0 == key }
        case .cancelAll(let connection):
            cancel { $0.connection == connection }
            queueLimit.forget(connection)
        case .load(let order, let reply): load(order, reply)
        case .unload(let name, let disable, let reply): unload(name, disable: disable, reply)
        case .adapters(let reply): reply(registry.statuses)
        case .statistics(let reply): reply(currentStatistics())
        case .read(let ticket, let result): prepareMerge(ticket, result)
        case .stop: return
        }
    }

    // MARK: Requests

    /// Binds a request to a generation, for good, and queues it; or lets it wait for the load that makes one.
    private mutating func bind(_ waiting: Waiting) {
        do throws(EngineError) {
            switch try registry.resolve(waiting.request.adapter) {
            case .ready(let identity):
                var bound = waiting
                bound.adapter = identity
                enqueue(bound)
            case .waiting(let ticket, let starting):
                waitingForLoad[ticket, default: []].append(waiting)
                if let starting { read(starting) }
            }
        } catch { fail(waiting.request, error) }
    }

    /// Queues a request that is bound to a generation, once it is in the generation's language.
    mutating func enqueue(_ waiting: Waiting) {
        guard let language = model(of: waiting.adapter)?.language, waiting.prepared?.language !== language
        else {
            if let work = waiting.prepared?.work, !batch.fits(work) {
                release(waiting.adapter)
                fail(waiting.request, .tooLong(work))
            } else {
                queue.append(waiting, connection: waiting.request.key.connection, adapter: waiting.adapter)
            }
            return
        }
        preparations += 1
        inPreparation[preparations] = waiting
        waiting.request.elsewhere { [inbox, context, request = waiting.request, number = preparations] in
            let result: Result<PreparedWork, EngineError>
            do throws(EngineError) {
                result = .success(try PreparedWork(request, in: language, context: context))
            } catch { result = .failure(error) }
            inbox.send(.prepared(number, result))
        }
    }

    /// Takes back what was prepared elsewhere, unless it was cancelled meanwhile.
    private mutating func take(_ number: Int, _ result: Result<PreparedWork, EngineError>) {
        guard var waiting = inPreparation.removeValue(forKey: number) else { return }
        do throws(EngineError) {
            waiting.prepared = try result.get()
            enqueue(waiting)
        } catch {
            release(waiting.adapter)
            fail(waiting.request, error)
        }
    }

    private func model(of adapter: AdapterIdentity?) -> ServedModel? {
        guard let adapter else { return ServedModel(weights: base.weights, language: languages.base) }
        return registry.model(adapter)
    }

    /// Lets the senders of requests know of changes.
    mutating func publishLanguages() {
        guard let languages = registry.takeLanguages() else { return }
        directory.replace(languages)
        statistics.recordAdapterChange()
    }

    mutating func fail(_ request: EngineRequest, _ error: EngineError) {
        queueLimit.leave(request.key.connection, forPlace: false)
        statistics.record(.failed(error), of: subject(of: request.adapter), after: .zero)
        request.report(.failed(error))
    }

    /// Moves those whose turn it is into the batch, as far as places and memory go.
    private mutating func admit() {
        batch.resume()
        while let waiting = queue.first {
            guard let model = model(of: waiting.adapter), let work = waiting.prepared?.work else {
                _ = queue.next()
                release(waiting.adapter)
                fail(waiting.request, EngineError(.internalError, "internal", "the adapter is gone"))
                continue
            }
            guard batch.admit(waiting, work, by: model) else { return }
            _ = queue.next()
            queueLimit.leave(waiting.request.key.connection, forPlace: true)
        }
    }

    private mutating func cancel(_ isMeant: (RequestKey) -> Bool) {
        var idle = queue.remove { isMeant($0.request.key) }
        for (ticket, requests) in waitingForLoad {
            waitingForLoad[ticket] = requests.filter { !isMeant($0.request.key) }
            idle += requests.filter { isMeant($0.request.key) }
        }
        for (number, waiting) in inPreparation.sorted(by: { $0.key < $1.key })
        where isMeant(waiting.request.key) {
            inPreparation[number] = nil
            idle.append(waiting)
        }
        for waiting in idle {
            queueLimit.leave(waiting.request.key.connection, forPlace: false)
            release(waiting.adapter)
            let event = EngineEvent.finished(.cancelled(waiting))
            statistics.record(event, of: subject(of: waiting.request.adapter), after: .zero)
            waiting.request.report(event)
        }
        for ended in batch.cancel(isMeant) { close(ended) }
    }

    // MARK: Steps

    private mutating func step() {
        if batch.isEmpty { return }
        statistics.steps += 1
        for ended in batch.step() { close(ended) }
    }

    private mutating func close(_ ended: Batch.Ended) {
        release(ended.adapter)
        statistics.record(
            ended.outcome, of: ended.adapter.map { .adapter($0.name) } ?? .base,
            after: ContinuousClock.now - ended.arrival)
        ended.request.report(ended.outcome)
    }

    /// Whose a request is that was bound to nothing.
    private func subject(of choice: AdapterChoice) -> EngineStatistics.Subject {
        guard let name = registry.name(of: choice) else { return .base }
        return registry.isKnown(name) ? .adapter(name) : .unknown
    }

    mutating func release(_ adapter: AdapterIdentity?) {
        if let adapter, registry.release(adapter) { forget(adapter) }
    }

    mutating func forget(_ adapter: AdapterIdentity) {
        batch.forget(adapter)
        options.notice(.freed(adapter))
    }

    private func currentStatistics() -> EngineStatistics {
        var now = statistics
        now.running = batch.running.count
        now.queued = queue.count + inPreparation.count + batch.paused.count
        now.waitingForAdapter = waitingForLoad.values.reduce(0) { $0 + $1.count }
        now.evictions = registry.evictions
        now.keyValueBytes = batch.usedBytes
        now.keptKeyValueBytes = batch.keptBytes
        now.preemptions = batch.preemptions
        now.guessedTokens = batch.speculation.guessed
        now.acceptedTokens = batch.speculation.accepted
        now.firstTokenSeconds = batch.firstTokenSeconds
        now.tokenSeconds = batch.tokenSeconds
        now.residents = registry.served
        now.loading = registry.loads.values.map(\.name).sorted()
        now.keyValueBlocks = batch.budget.blocks
        now.blockPositions = KeyValueGeometry.blockPositions
        now.keyValueFormat = batch.budget.geometry.format.rawValue
        now.keyValueBudget = batch.budget.bytes
        now.adapterBytes = registry.bytes
        now.adapterBudget = options.adapterBytes
        return now
    }
}

extension EngineError {
    fileprivate static func tooLong(_ work: EngineRequest.Work) -> EngineError {
        let (rest, param) =
            switch work {
            case .generate(let request) where request.choices != nil: ("the longest choice", "choices")
            case .generate: ("max_tokens", "max_tokens")
            case .score(let request):
                ("the longest continuation", request.continuations == nil ? "prompt" : "continuations")
            }
        return EngineError(
            .invalidRequest, "too_long",
            "prompt and \(rest) need more keys and values than --kv-memory holds", param: param)
    }
}

extension EngineReply {
    /// Of a request that never ran.
    fileprivate static func cancelled(_ waiting: EngineLoop.Waiting) -> EngineReply {
        var completion = Completion()
        completion.text = ""
        completion.finishReason = .cancelled
        return EngineReply(
            completion: completion, scores: nil, adapter: waiting.adapter,
            prompt: waiting.prepared?.work.prompt ?? [], language: nil, cachedTokens: 0,
            queueTime: ContinuousClock.now - waiting.arrival, mergeTime: .zero)
    }
}
