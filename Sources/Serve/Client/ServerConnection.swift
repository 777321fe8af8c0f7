package import DoraText
import NIOCore
import NIOPosix
import Synchronization

/// One connection to a server, with many requests in flight.
package final class ServerConnection: Answerer {
    /// What `hello` said.
    package let hello: JSONObject
    package let capacity: Int
    package let maximumLine: Int
    private let channel: any Channel
    private let replies: ServerReplies

    /// - Parameter token: for servers that want one.
    /// - Throws: `ServerClient.Problem`.
    package init(_ address: ListenAddress, token: String?) async throws {
        let replies = ServerReplies(address)
        self.replies = replies
        do {
            channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ReplyHandler(replies))
                    }
                }
                .connect(to: address.resolved()).get()
        } catch { throw ServerClient.Problem.unreachable(address, "\(error)") }
        var greeting = JSONObject([("op", .string("hello"))])
        if let token { greeting = greeting.with("token", .string(token)) }
        do {
            var lines = Self.lines(of: greeting, as: 0, channel, replies).makeAsyncIterator()
            let line = try await lines.next()
            if let line { try ServerClient.check(line) }
            guard let hello = line?["result"]?.object else { throw ServerClient.Problem.strange(address) }
            self.hello = hello
        } catch {
            channel.close(promise: nil)
            throw error
        }
        let limits = hello["limits"]?.object
        // The last sixteenth of a queue is kept for others (`QueueLimit`).
        let queue = limits?["max_queue"]?.int ?? 1
        capacity = max(1, min(limits?["max_inflight"]?.int ?? 1, queue - queue / 16))
        maximumLine = limits?["max_line"]?.int ?? 1 << 20
    }

    deinit { channel.close(promise: nil) }

    /// Whether it was lost: nothing that is asked will be answered.
    var isClosed: Bool { replies.isClosed }

    package func answer(
        _ request: JSONObject, as number: Int
    ) -> AsyncThrowingStream<JSONObject, any Error> {
        Self.lines(of: request, as: number, channel, replies)
    }

    package func adapterNames() async throws -> [String] {
        let last = try await lastLine(of: JSONObject([("op", .string("adapters"))]), as: -1)
        try ServerClient.check(last)
        return (last["result"]?.object?["adapters"]?.array ?? []).compactMap { $0.object?["name"]?.string }
    }

    private static func lines(
        of request: JSONObject, as number: Int, _ channel: any Channel, _ replies: ServerReplies
    ) -> AsyncThrowingStream<JSONObject, any Error> {
        let (lines, continuation) = AsyncThrowingStream.makeStream(of: JSONObject.self)
        continuation.onTermination = { reason in
            guard case .cancelled = reason, replies.forget(number) else { return }
            write(JSONObject([("op", .string("cancel")), ("target", .int(number))]), to: channel)
        }
        if replies.expect(number, continuation) {
            write(JSONObject([("id", .int(number))] + request.without("id").members), to: channel)
        }
        return lines
    }

    /// A failure shows as the connection's end.
    private static func write(_ line: JSONObject, to channel: any Channel) {
        channel.writeAndFlush(ByteBuffer(string: JSONValue.object(line).text + "\n"), promise: nil)
    }
}

/// Who waits for which answer.
private final class ServerReplies: Sendable {
    typealias Lines = AsyncThrowingStream<JSONObject, any Error>.Continuation

    private struct State {
        var waiting: [Int: Lines] = [:]
        var failure: ServerClient.Problem?
    }

    private let address: ListenAddress
    private let state = Mutex(State())

    init(_ address: ListenAddress) { self.address = address }

    var isClosed: Bool { state.withLock { $0.failure != nil } }

    /// False if the connection is gone; then `lines` say so.
    func expect(_ number: Int, _ lines: Lines) -> Bool {
        let failure = state.withLock { state in
            if state.failure == nil { state.waiting[number] = lines }
            return state.failure
        }
        guard let failure else { return true }
        lines.finish(throwing: failure)
        return false
    }

    /// Whether the request was in flight.
    func forget(_ number: Int) -> Bool { state.withLock { $0.waiting.removeValue(forKey: number) != nil } }

    func take(_ line: [UInt8]) {
        guard let object = (try? JSONValue(parsing: line))?.object else { return fail(.strange(address)) }
        let isLast = object["done"]?.bool == true
        guard let number = object["id"]?.int else {
            // What is said to nobody in particular is about the connection; an answered `cancel` is of no interest.
            if object["error"] != nil {
                do throws(ServerClient.Problem) { try ServerClient.check(object) } catch { fail(error) }
            } else if !isLast {
                fail(.strange(address))
            }
            return
        }
        let lines = state.withLock { state in
            isLast ? state.waiting.removeValue(forKey: number) : state.waiting[number]
        }
        lines?.yield(object)
        if isLast { lines?.finish() }
    }

    func hangUp() { fail(.hungUp(address)) }

    func fail(_ problem: ServerClient.Problem) {
        let waiting = state.withLock { state in
            state.failure = state.failure ?? problem
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for lines in waiting { lines.finish(throwing: problem) }
    }

    func lose(_ error: any Error) { fail(.unreachable(address, "\(error)")) }
}

/// Cuts what a server sends into lines.
private final class ReplyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var buffer = LineBuffer(maximumLine: 1 << 30)
    private let replies: ServerReplies

    init(_ replies: ServerReplies) { self.replies = replies }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        buffer.append(unwrapInboundIn(data))
        while case .line(let line) = buffer.next() { replies.take(line) }
    }

    func channelInactive(context: ChannelHandlerContext) { replies.hangUp() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        replies.lose(error)
        context.close(promise: nil)
    }
}
