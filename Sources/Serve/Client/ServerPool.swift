package import DoraText

/// Several servers with the same base and adapters. A request goes to its adapter's home (`ServerRanking`), and on to the
/// next server when that one is draining or gone, in the middle of a stream too: decoding is greedy, so that the next one
/// gives the same bytes, and what was handed on already is left out.
package final class ServerPool: Answerer {
    /// What `hello` said, of the first server that was reached.
    package let hello: JSONObject
    package let capacity: Int
    package let maximumLine: Int
    private let addresses: [ListenAddress]
    private let links: [ServerLink]

    /// - Parameters:
    ///   - addresses: at least one.
    ///   - token: for servers that want one, all the same.
    ///   - adapter: of requests that name none; its home is asked what the limits are, which are taken for all.
    /// - Throws: `ServerClient.Problem` if no server can be reached.
    package init(_ addresses: [ListenAddress], token: String?, adapter: String? = nil) async throws {
        let links = addresses.map { ServerLink($0, token: token) }
        self.addresses = addresses
        self.links = links
        var found: ServerConnection?
        var problem: any Error = CancellationError()
        for index in ServerRanking.order(of: adapter ?? "", among: addresses) where found == nil {
            do {
                found = try await links[index].open()
            } catch let error as ServerClient.Problem where error.isAbsence {
                await links[index].rest()
                problem = error
            }
        }
        guard let found else { throw problem }
        (hello, capacity, maximumLine) = (found.hello, found.capacity, found.maximumLine)
    }

    package func answer(
        _ request: JSONObject, as number: Int
    ) -> AsyncThrowingStream<JSONObject, any Error> {
        let (lines, continuation) = AsyncThrowingStream.makeStream(of: JSONObject.self)
        let work = Task {
            do {
                try await forward(request, as: number, to: continuation)
                continuation.finish()
            } catch { continuation.finish(throwing: error) }
        }
        continuation.onTermination = { reason in
            if case .cancelled = reason { work.cancel() }
        }
        return lines
    }

    package func adapterNames() async throws -> [String] {
        var problem: any Error = CancellationError()
        for index in await order(of: "") {
            do {
                return try await links[index].open().adapterNames()
            } catch let error as ServerClient.Problem where error.isAbsence { problem = error }
        }
        throw problem
    }

    /// An adapter's servers, those that were absent a moment ago last.
    private func order(of adapter: String) async -> [Int] {
        var (ready, resting): ([Int], [Int]) = ([], [])
        for index in ServerRanking.order(of: adapter, among: addresses) {
            if await links[index].isResting { resting.append(index) } else { ready.append(index) }
        }
        return ready + resting
    }

    private func forward(
        _ request: JSONObject, as number: Int,
        to answer: AsyncThrowingStream<JSONObject, any Error>.Continuation
    ) async throws {
        var progress = StreamProgress()
        var problem: any Error = CancellationError()
        for index in await order(of: request.adapterName) {
            do {
                progress.restart()
                for try await line in try await links[index].open().answer(request, as: number) {
                    // Said by one server of several, it is a reason to ask the next.
                    if line.isRefusedForDraining { try ServerClient.check(line) }
                    if let rest = try progress.rest(of: line) { answer.yield(rest) }
                    if line["done"]?.bool == true { return }
                }
                try Task.checkCancellation()
                throw ServerClient.Problem.hungUp(addresses[index])
            } catch let error as ServerClient.Problem where error.isAbsence {
                await links[index].rest()
                problem = error
            } catch is StreamProgress.Difference {
                throw ServerClient.Problem.differs(addresses[index])
            }
        }
        throw problem
    }
}

extension ServerClient.Problem {
    /// Whether the server is gone, or about to go: another one may answer.
    var isAbsence: Bool {
        switch self {
        case .unreachable, .hungUp: true
        case .refused(_, let code, _): code == "draining"
        case .strange, .differs: false
        }
    }
}

extension JSONObject {
    /// The adapter that a request names; empty for none, and for the base.
    fileprivate var adapterName: String {
        self["adapter"]?.string ?? self["body"]?.object?["model"]?.string ?? ""
    }

    fileprivate var isRefusedForDraining: Bool { self["error"]?.object?["code"]?.string == "draining" }
}
