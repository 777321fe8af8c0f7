import Dispatch
package import DoraLoader
package import DoraTensor

/// One base, many adapters, many requests: the way into the thread that owns them all.
///
/// Everything that changes while serving (sequences, keys and values, the registry) belongs to that one thread; the
/// calls here only send it messages.
package final class Engine: Sendable {
    package struct Options: Sendable {
        /// Sequences computed together.
        package var maximumSequences = 16
        /// Requests that may wait for a place.
        package var maximumQueue = 256
        /// Positions of one sequence; nil for the model's own maximum.
        package var context: Int?
        package var keyValues = KeyValueFormat.f16
        /// Tokens that a sequence guesses in a step, at most; 0 for none.
        package var guesses = ModelSettings.standardGuesses
        package var secondTerms = SecondTerms.peaks
        /// Bytes of keys and values.
        package var keyValueBytes = 1 << 30
        /// Bytes of merged matrices and factors.
        package var adapterBytes = 4 << 30
        package var adapters: [(name: String, folder: String)] = []
        package var root: AdapterRoot?
        /// The adapter of requests that name none; nil for the base.
        package var standard: String?
        package var notice: @Sendable (AdapterNotice) -> Void = { _ in }

        package init() {}
    }

    package let configuration: ModelConfiguration
    package let context: Int
    private let inbox: Inbox<EngineMessage>
    let queue: QueueLimit
    private let directory: LanguageDirectory
    /// What lies under the root.
    private let listing: RootListing
    /// Looks through it, which may take long, beside the engine and its callers.
    private let looking = DispatchQueue(label: "adapter root")

    /// - Throws: `RuntimeError.contextTooLong`; `ComputeError` when memory runs out.
    package init(
        base: BaseModel, languages: Languages, options: Options, on compute: Compute
    ) throws {
        configuration = base.configuration
        context = try base.configuration.checkedContext(options.context)
        let inbox = Inbox<EngineMessage>()
        let queue = QueueLimit(options.maximumQueue)
        self.inbox = inbox
        self.queue = queue
        let directory = LanguageDirectory(base: languages.base, standard: options.standard)
        self.directory = directory
        listing = RootListing(options.root)
        // Unsafe only in the eyes of the compiler: the pass is handed to the engine's thread and used nowhere else.
        nonisolated(unsafe) let pass = try ForwardPass(
            base.configuration, keyValues: options.keyValues, secondTerms: options.secondTerms,
            chunk: max(ForwardPass.defaultChunk, options.maximumSequences), on: compute)
        let context = context
        try OwnThread.start {
            // Made on its own thread, the loop never leaves it.
            var loop = EngineLoop(
                base: base, languages: languages, directory: directory, context: context, pass: pass,
                options: options, queue: queue, inbox: inbox, compute: compute)
            loop.run()
        }
    }

    deinit { inbox.send(.stop) }

    /// Takes a request, or says at once why not: the queue is full, or the prompt is none for this model.
    package func submit(_ request: EngineRequest) throws(EngineError) {
        var prepared: PreparedWork?
        // A tokenizer that came with an adapter is a stranger's, and may take long: never on the sender's thread.
        if let language = directory.language(of: request.adapter), language.digest == nil {
            // The directory may be behind: only of the base is it known here that the request is none for it.
            do throws(EngineError) {
                prepared = try PreparedWork(request, in: language, context: context)
            } catch { if directory.isFixed(request.adapter) { throw error } }
        }
        try queue.enter(request.key.connection)
        inbox.send(.generate(request, prepared, ContinuousClock.now))
    }

    /// Ends a request at the next step; it finishes as cancelled. Unknown keys are none of our business.
    package func cancel(_ key: RequestKey) { inbox.send(.cancel(key)) }

    /// Ends all requests of a connection that has gone.
    package func cancelAll(ofConnection connection: Int) { inbox.send(.cancelAll(connection)) }

    package func load(
        _ order: AdapterOrder, reply: @escaping @Sendable (Result<AdapterIdentity, EngineError>) -> Void
    ) { inbox.send(.load(order, reply)) }

    package func unload(
        _ name: String, disable: Bool, reply: @escaping @Sendable (Result<Void, EngineError>) -> Void
    ) { inbox.send(.unload(name, disable: disable, reply)) }

    package func adapters(_ reply: @escaping @Sendable ([AdapterStatus]) -> Void) {
        knownAdapters { known, root in reply(AdapterStatus.all(known, onDisk: root.found.map(\.name))) }
    }

    /// - Parameter reply: is told what is known of adapters, sorted, and apart from it what lies under the root.
    package func knownAdapters(_ reply: @escaping @Sendable ([AdapterStatus], RootListing.State) -> Void) {
        inbox.send(
            .adapters { [looking, listing] known in looking.async { reply(known, listing.state()) } })
    }

    /// The language of what is chosen, if that is in memory.
    package func language(of choice: AdapterChoice) -> Language? { directory.language(of: choice) }

    package func statistics(_ reply: @escaping @Sendable (EngineStatistics) -> Void) {
        inbox.send(.statistics(reply))
    }
}

/// A wish to load an adapter.
package struct AdapterOrder: Sendable, Equatable {
    package var name: String
    /// Relative to the root; nil for the folder that the name stands for.
    package var path: String?
    package var isReplacement = false
    package var expectedGeneration: Int?
    package var isPinned = false
    /// Nil for the server's own choice.
    package var form: StorageOptions.Form?

    package init(name: String) { self.name = name }
}

enum EngineMessage: Sendable {
    case generate(EngineRequest, PreparedWork?, ContinuousClock.Instant)
    /// A request was put into its generation's language, or could not be.
    case prepared(Int, Result<PreparedWork, EngineError>)
    case cancel(RequestKey)
    case cancelAll(Int)
    case load(AdapterOrder, @Sendable (Result<AdapterIdentity, EngineError>) -> Void)
    case unload(String, disable: Bool, @Sendable (Result<Void, EngineError>) -> Void)
    case adapters(@Sendable ([AdapterStatus]) -> Void)
    case statistics(@Sendable (EngineStatistics) -> Void)
    /// An adapter was read from its folder, or could not be.
    case read(AdapterRegistry.Ticket, Result<ReadAdapter, EngineError>)
    case stop
}
