import Synchronization

/// How many requests wait for a place; counted where they are sent, so that a full queue answers at once.
///
/// The last sixteenth of the places is for connections that have had a place before and have nothing waiting: neither
/// those who send much nor those who come in crowds keep out one that asks now and then.
final class QueueLimit: Sendable {
    private struct Client {
        var waiting = 0
        var isKnown = false
    }

    private struct Clients {
        var waiting = 0
        var byConnection: [Int: Client] = [:]
    }

    private let maximum: Int
    private let clients = Mutex(Clients())

    init(_ maximum: Int) { self.maximum = maximum }

    var waiting: Int { clients.withLock(\.waiting) }

    func enter(_ connection: Int) throws(EngineError) {
        let isFull = clients.withLock { clients in
            var client = clients.byConnection[connection] ?? Client()
            let limit = client.isKnown && client.waiting == 0 ? maximum : maximum - maximum / 16
            if clients.waiting >= limit { return true }
            client.waiting += 1
            clients.waiting += 1
            clients.byConnection[connection] = client
            return false
        }
        if isFull {
            throw EngineError(
                .busy, "busy",
                "as many requests are waiting as --max-queue (\(maximum)) allows; try again later")
        }
    }

    /// A request waits no longer: it got a place, or it will never get one.
    func leave(_ connection: Int, forPlace: Bool) {
        clients.withLock { clients in
            clients.waiting -= 1
            clients.byConnection[connection]?.waiting -= 1
            if forPlace { clients.byConnection[connection]?.isKnown = true }
        }
    }

    /// A connection has gone, and its requests with it.
    func forget(_ connection: Int) {
        clients.withLock { $0.byConnection[connection] = nil }
    }
}
