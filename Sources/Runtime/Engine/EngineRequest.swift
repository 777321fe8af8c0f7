package import DoraLoader

/// Who asks: a connection and its running number for the request. Unique while the request lives.
package struct RequestKey: Hashable, Sendable {
    package let connection: Int
    package let serial: Int

    package init(connection: Int, serial: Int) {
        self.connection = connection
        self.serial = serial
    }
}

/// One request for the engine. Its events come in order, on the engine's thread; the last is `finished` or `failed`.
package struct EngineRequest: Sendable {
    package enum Work: Sendable {
        case generate(GenerationRequest)
        case score(ScoreRequest)

        package var prompt: [Int] {
            switch self {
            case .generate(let request): request.prompt
            case .score(let request): request.prompt
            }
        }
    }

    package let key: RequestKey
    package let adapter: AdapterChoice
    /// Puts the request into the language of the generation that will answer it: on the thread of whoever sends it if
    /// that is known there, else `elsewhere`.
    package let prepare: @Sendable (Language) throws(EngineError) -> Work
    /// Runs what it is given on a thread that may take its time: not the engine's.
    package let elsewhere: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// Whether pieces of the text are wanted as they are made.
    package let streams: Bool
    package let report: @Sendable (EngineEvent) -> Void

    package init(
        key: RequestKey, adapter: AdapterChoice, streams: Bool,
        elsewhere: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
        prepare: @escaping @Sendable (Language) throws(EngineError) -> Work,
        report: @escaping @Sendable (EngineEvent) -> Void
    ) {
        self.key = key
        self.adapter = adapter
        self.prepare = prepare
        self.elsewhere = elsewhere
        self.streams = streams
        self.report = report
    }

    /// A request in token ids, which are the same in every language.
    package init(
        key: RequestKey, adapter: AdapterChoice, work: Work, streams: Bool,
        report: @escaping @Sendable (EngineEvent) -> Void
    ) {
        self.init(
            key: key, adapter: adapter, streams: streams, elsewhere: { $0() }, prepare: { _ in work },
            report: report)
    }
}

/// A request in the language of a generation.
struct PreparedWork: Sendable {
    let work: EngineRequest.Work
    let language: Language

    /// - Throws: `EngineError` when the request is none for such a model.
    init(_ request: EngineRequest, in language: Language, context: Int) throws(EngineError) {
        work = try request.prepare(language)
        self.language = language
        do throws(RuntimeError) {
            switch work {
            case .generate(let generation):
                try generation.check(
                    vocabularySize: language.vocabularySize, context: context, eosIDs: language.eosIDs)
            case .score(let score): try score.check(vocabularySize: language.vocabularySize, context: context)
            }
        } catch { throw EngineError(error) }
    }
}

/// A request that has left the queue.
package struct EngineStart: Sendable {
    /// Nil for the base.
    package let adapter: AdapterIdentity?
    /// That of the generation which answers.
    package let language: Language
    package let prompt: [Int]
}

package enum EngineEvent: Sendable {
    /// The request is being computed; only to those who want pieces.
    case started(EngineStart)
    /// The next piece of text, and the tokens since the last one, with their log probabilities if these were asked for.
    case piece(text: String, tokenIDs: [Int], logprobs: [TokenLogprob])
    case finished(EngineReply)
    case failed(EngineError)
}

package struct EngineReply: Sendable {
    package let completion: Completion
    /// What was asked for instead of a text; nil if it was cancelled.
    package let scores: Scores?
    /// Nil for the base.
    package let adapter: AdapterIdentity?
    package let prompt: [Int]
    /// That of the generation which answered; nil if none came to.
    package let language: Language?
    /// Prompt tokens whose keys and values an earlier request had left.
    package let cachedTokens: Int
    package let queueTime: Duration
    /// Waiting for the adapter to be merged.
    package let mergeTime: Duration

    package var promptTokens: Int { prompt.count }
}

/// What happened to an adapter, for the log.
package enum AdapterNotice: Sendable {
    case loaded(AdapterIdentity, AdapterContent, bytes: Int, seconds: Double, warnings: [LoadWarning])
    case failed(name: String, EngineError)
    case evicted(AdapterIdentity)
    /// The first eviction, where merged adapters do not fit together: what the next one takes, and would take factored.
    case crowded(budget: Int, merged: Int, factored: Int)
    case freed(AdapterIdentity)
}
