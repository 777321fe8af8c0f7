import DoraRuntime
import Hummingbird
import Logging
import Synchronization

/// One request on its way through the server.
struct HTTPCall: RequestContextSource {
    /// Requests that it may send to the engine.
    static let serials = 1 << 10

    /// Header `x-request-id`.
    let id: String
    /// Whether only programs on this machine can come where it came.
    let isLocal: Bool
    let session: EngineSession
    /// The first of the numbers that its requests to the engine have.
    let firstSerial: Int
    let logger: Logger
    /// Where its reply goes.
    let writer: HTTPReplyWriter
    let notes = HTTPNotes()
    let start = ContinuousClock.now
}

struct HTTPContext: RequestContext {
    typealias Source = HTTPCall

    var coreContext: CoreRequestContextStorage
    let call: HTTPCall

    init(source: HTTPCall) {
        call = source
        coreContext = CoreRequestContextStorage(source: source)
    }
}

/// What the request's line in the log says besides; of several prompts what is true of the one that ended last.
final class HTTPNotes: Sendable {
    private let notes = Mutex<Logger.Metadata>([:])

    var all: Logger.Metadata { notes.withLock { $0 } }

    func add(_ event: EngineEvent) {
        switch event {
        case .started, .piece: return
        case .finished(let reply): add(reply.metadata)
        case .failed(let error): add(OpenAIError(error))
        }
    }

    /// What is wrong with a request may be said in its own words, which are nobody's but the client's.
    func add(_ error: OpenAIError) {
        add(["code": "\(error.code)"])
        if let param = error.param { add(["param": "\(param.quoted)"]) }
        if error.status.rawValue >= 500 { add(["problem": "\(error.message.quoted)"]) }
    }

    func add(_ metadata: Logger.Metadata) { notes.withLock { $0.merge(metadata) { $1 } } }
}
