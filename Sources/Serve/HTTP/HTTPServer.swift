import DoraRuntime
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// What all HTTP connections share.
package final class HTTPServer: Sendable {
    let state: ServerState
    let limits: HTTPLimits
    private let responder: RouterResponder<HTTPContext>
    private let isForProbes: Bool

    /// - Parameter isForProbes: whether it only tells machines how it does, and that to everybody.
    init(_ api: HTTPAPI, isForProbes: Bool = false) {
        state = api.state
        limits = api.settings.limits
        responder = isForProbes ? api.probeResponder : api.responder
        self.isForProbes = isForProbes
    }

    /// An address at which it answers.
    func endpoint(_ address: ListenAddress) -> Endpoint {
        Endpoint(address: address, isHalfClosable: false, isGuarded: !isForProbes) { [self] channel in
            try Self.open(channel, limits, HTTPConnection(self))
        }
    }

    /// Sets a channel up for clients that come before there is a server.
    static func openLoading(_ channel: any Channel, _ limits: HTTPLimits) throws {
        try open(channel, limits, LoadingConnection(limits))
    }

    private static func open(
        _ channel: any Channel, _ limits: HTTPLimits, _ connection: some ChannelInboundHandler
    ) throws {
        var heads = NIOHTTPDecoderLimitConfiguration()
        heads.maxHeaderFieldSize = limits.headerBytes
        heads.maxHeaderListSize = limits.headBytes
        heads.maxHeaderFieldCount = limits.headers
        let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: heads)
        try channel.pipeline.syncOperations.addHandlers(
            ByteToMessageHandler(decoder), HTTPResponseEncoder(), connection)
    }

    func response(to request: Request, _ call: HTTPCall) async -> Response {
        do { return try await responder.respond(to: request, context: HTTPContext(source: call)) } catch {
            return Response(OpenAIError(any: error))
        }
    }

    func log(_ reply: HTTPReplyState, connection: Int) {
        let seconds = (ContinuousClock.now - reply.call.start).seconds
        var metadata = reply.call.notes.all
        metadata["connection"] = "\(connection)"
        metadata["id"] = "\(reply.call.id.quoted)"
        metadata["status"] = "\(reply.status)"
        metadata["seconds"] = "\((seconds * 1e4).rounded() / 1e4)"
        // Never what follows a question mark.
        let path =
            reply.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            .first.map(String.init) ?? ""
        metadata["request"] = "\((reply.method.rawValue + " " + path).quoted)"
        // Those who ask whether the server lives ask often.
        let isProbe = reply.status < 400 && HTTPAPI.probes.contains(path)
        state.logger.log(level: isProbe ? .debug : .info, "http", metadata: metadata)
    }
}

extension OpenAIError {
    /// What went wrong in an answer.
    init(any error: any Error) {
        switch error {
        case let error as OpenAIError: self = error
        case let problem as Prompt.Problem: self.init(EngineError(problem))
        default: self.init(EngineError(error))
        }
    }
}
