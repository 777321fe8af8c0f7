import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Answers HTTP while the base is being loaded: the server lives, and is not ready. A connection is for one request, so that
/// the next one meets what is there by then. Lives on its event loop.
final class LoadingConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: HTTPLimits
    private let deadline = Deadline()
    private var isAnswered = false

    init(_ limits: HTTPLimits) { self.limits = limits }

    func channelActive(context: ChannelHandlerContext) {
        close(context, in: limits.head)
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline.cancel()
        context.fireChannelInactive()
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Bodies are thrown away.
        guard case .head(let head) = unwrapInboundIn(data), !isAnswered else { return }
        isAnswered = true
        let isHealth = head.uri == "/health" && (head.method == .GET || head.method == .HEAD)
        let body = isHealth ? HTTPAPI.alive : OpenAIError.loading.body
        let response = isHealth ? Response(json: body) : Response(OpenAIError.loading)
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, response.head, closing: true))),
            promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(mode: .output, promise: nil)
        close(context, in: limits.farewell)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func close(_ context: ChannelHandlerContext, in time: TimeAmount) {
        deadline.start(time, on: context.eventLoop) { context.close(promise: nil) }
    }
}

extension OpenAIError {
    static let loading = {
        var error = OpenAIError(.unavailable, "loading", "the model is being loaded; try again later")
        error.retryAfter = 1
        error.closes = true
        return error
    }()
}
