package import DoraText

/// Where requests are answered: in this process, or by a server. The same lines come back.
package protocol Answerer: Sendable {
    /// Requests that can be in flight without one being turned away as busy.
    var capacity: Int { get }
    /// Bytes that a request's line may have.
    var maximumLine: Int { get }

    /// The lines that answer a request, as they come; the last one has `"done": true`. Who stops listening cancels.
    /// - Parameters:
    ///   - request: a line of the protocol; its `id` means nothing.
    ///   - number: its `id` in place of that; of no other request in flight.
    /// - Returns: lines; it throws when nobody answers any more.
    func answer(_ request: JSONObject, as number: Int) -> AsyncThrowingStream<JSONObject, any Error>

    /// Names of the adapters that can be asked.
    func adapterNames() async throws -> [String]
}

extension Answerer {
    /// The one last line.
    package func lastLine(of request: JSONObject, as number: Int) async throws -> JSONObject {
        for try await line in answer(request, as: number) where line["done"]?.bool == true { return line }
        throw CancellationError()
    }
}
