import DoraText
import NIOCore
import NIOPosix
import Synchronization

/// A client that sends bytes and reads replies, knowing no more of HTTP than it must.
final class RawHTTP: Sendable {
    struct Head: Sendable {
        let status: Int
        let headers: [(name: String, value: String)]

        subscript(name: String) -> String? { headers.first { $0.name == name }?.value }
    }

    struct Reply: Sendable {
        let head: Head
        let body: [UInt8]

        var status: Int { head.status }
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSONObject? { (try? JSONValue(parsing: body))?.object }
        var error: JSONObject? { json?["error"]?.object }
        var code: String? { error?["code"]?.string }

        subscript(name: String) -> String? { head[name] }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<[UInt8]>.Continuation

        init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case ChannelEvent.inputClosed = event else { return }
            continuation.finish()
            context.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    private let chunks: AsyncStream<[UInt8]>
    private let buffer = Mutex<[UInt8]>([])

    init(_ address: SocketAddress, reads: Bool = true) async throws {
        let (chunks, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        self.chunks = chunks
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
            .connect(to: address).get()
    }

    deinit { channel.close(promise: nil) }

    // MARK: Requests

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    static func request(
        _ method: String, _ path: String, _ body: String? = nil, _ headers: [String] = [],
        host: String = "localhost"
    ) -> String {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: \(host)"] + headers
        if let body {
            if !headers.contains(where: { $0.lowercased().hasPrefix("content-type") }) {
                lines.append("Content-Type: application/json")
            }
            lines.append("Content-Length: \(body.utf8.count)")
        }
        return lines.map { $0 + "\r\n" }.joined() + "\r\n" + (body ?? "")
    }

    func ask(
        _ method: String, _ path: String, _ body: String? = nil, _ headers: [String] = [],
        host: String = "localhost"
    ) async throws -> Reply {
        try await send(Self.request(method, path, body, headers, host: host))
        guard let reply = await reply(isToHead: method == "HEAD") else { throw CancellationError() }
        return reply
    }

    func get(_ path: String, _ headers: [String] = []) async throws -> Reply {
        try await ask("GET", path, nil, headers)
    }

    func post(_ path: String, _ body: String, _ headers: [String] = []) async throws -> Reply {
        try await ask("POST", path, body, headers)
    }

    // MARK: Replies

    /// Nil once the server has closed.
    func reply(isToHead: Bool = false) async -> Reply? {
        guard let head = await head() else { return nil }
        var body: [UInt8] = []
        if isToHead || head.status == 204 || head.status == 304 || head.status < 200 {
        } else if let length = head["content-length"].flatMap({ Int($0) }) {
            guard let bytes = await bytes(length) else { return nil }
            body = bytes
        } else if head["transfer-encoding"] == "chunked" {
            while let chunk = await chunk() { body += chunk }
        } else {
            while await more() {}
            body = buffer.withLock { bytes in
                defer { bytes = [] }
                return bytes
            }
        }
        return Reply(head: head, body: body)
    }

    func head() async -> Head? {
        guard let first = await line() else { return nil }
        let words = first.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        var headers: [(name: String, value: String)] = []
        while let line = await line(), !line.isEmpty {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers.append((line[..<colon].lowercased(), String(value)))
        }
        return Head(status: status, headers: headers)
    }

    /// Nil at the end of the body, or of the connection.
    func chunk() async -> [UInt8]? {
        guard let size = await line().flatMap({ Int($0, radix: 16) }), let bytes = await bytes(size) else {
            return nil
        }
        _ = await line()
        return size == 0 ? nil : bytes
    }

    /// What a stream of events says next: the text behind `data: `.
    func event() async -> String? {
        // One chunk holds whole events here; several if the reader is behind.
        while true {
            if let event = events.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return event }
            guard let chunk = await chunk() else { return nil }
            let text = String(decoding: chunk, as: UTF8.self)
            let found = text.split(separator: "\n\n").filter { $0.hasPrefix("data: ") }
                .map { String($0.dropFirst("data: ".count)) }
            events.withLock { $0 += found }
        }
    }

    private let events = Mutex<[String]>([])

    /// Whether the server closes without another byte.
    func isClosed() async -> Bool {
        while await more() {}
        return buffer.withLock { $0.isEmpty }
    }

    private func more() async -> Bool {
        var iterator = chunks.makeAsyncIterator()
        guard let chunk = await iterator.next() else { return false }
        buffer.withLock { $0 += chunk }
        return true
    }

    private func line() async -> String? {
        while true {
            let found: String? = buffer.withLock { bytes in
                guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
                let line = bytes[..<end].filter { $0 != UInt8(ascii: "\r") }
                bytes.removeFirst(end + 1)
                return String(decoding: line, as: UTF8.self)
            }
            if let found { return found }
            guard await more() else { return nil }
        }
    }

    private func bytes(_ count: Int) async -> [UInt8]? {
        while true {
            let found: [UInt8]? = buffer.withLock { bytes in
                guard bytes.count >= count else { return nil }
                defer { bytes.removeFirst(count) }
                return Array(bytes[..<count])
            }
            if let found { return found }
            guard await more() else { return nil }
        }
    }
}

extension TestServer {
    func http(reads: Bool = true) async throws -> RawHTTP { try await RawHTTP(httpAddress, reads: reads) }
}
