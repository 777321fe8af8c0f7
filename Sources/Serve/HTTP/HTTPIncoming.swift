import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// A request as it comes in: a head that means the same to every reader of HTTP, then its body.
struct HTTPIncoming {
    let head: HTTPRequest
    let version: HTTPVersion
    /// Whether the client may send another one afterwards.
    let isLast: Bool
    /// Whether the client waits for a sign before it sends the body.
    let awaitsContinue: Bool
    /// The client's, or one made up.
    let id: String
    private(set) var body = ByteBuffer()
    private let maximumBody: Int

    /// - Throws: `OpenAIError` for a head that proxies read in several ways (RFC 9112, 11.2), or that announces too much.
    init(_ head: HTTPRequestHead, maximumBody: Int) throws(OpenAIError) {
        let headers = head.headers
        guard let method = HTTPRequest.Method(rawValue: head.method.rawValue) else {
            throw .badHTTP("the method is no word")
        }
        guard head.uri.utf8.allSatisfy({ 0x21...0x7E ~= $0 }),
            head.uri.utf8.first == UInt8(ascii: "/") || (head.uri == "*" && method == .options)
        else { throw .badHTTP("the target of a request is a path") }
        let hosts = headers["host"]
        guard hosts.count == 1 || hosts.isEmpty && head.version == .http1_0 else {
            throw .badHTTP("a request has one Host header")
        }
        try Self.checkLength(headers, head.version, maximumBody: maximumBody)
        let expectations = headers["expect"].filter { $0.lowercased() != "100-continue" }
        if let unknown = expectations.first {
            throw OpenAIError(.expectation, "expectation_failed", "nobody here can do \(unknown.quoted)")
        }
        var fields = HTTPFields()
        for (name, value) in headers where name.lowercased() != "host" {
            guard let name = HTTPField.Name(name) else { throw .badHTTP("a header's name is no word") }
            fields.append(HTTPField(name: name, value: value))
        }
        self.head = HTTPRequest(
            method: method, scheme: "http", authority: hosts.first, path: head.uri, headerFields: fields)
        version = head.version
        isLast = !head.isKeepAlive || method == .connect || headers.contains(name: "upgrade")
        awaitsContinue = headers.contains(name: "expect") && head.version != .http1_0
        id = Self.requestID(headers.first(name: "x-request-id"))
        self.maximumBody = maximumBody
    }

    private static func checkLength(
        _ headers: HTTPHeaders, _ version: HTTPVersion, maximumBody: Int
    ) throws(OpenAIError) {
        let lengths = headers["content-length"]
        let codings = headers["transfer-encoding"]
        guard lengths.count + codings.count <= 1 else {
            throw .badHTTP("a body has one length, or comes in chunks")
        }
        if let coding = codings.first, coding.lowercased() != "chunked" || version == .http1_0 {
            throw .badHTTP("a body comes as it is, or in chunks")
        }
        guard let length = lengths.first else { return }
        guard !length.isEmpty, length.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw .badHTTP("a length is a number")
        }
        guard let count = Int(length), count <= maximumBody else { throw .tooLarge(maximumBody) }
    }

    mutating func append(_ bytes: inout ByteBuffer) throws(OpenAIError) {
        guard body.readableBytes + bytes.readableBytes <= maximumBody else { throw .tooLarge(maximumBody) }
        if body.readableBytes == 0 { body = bytes } else { body.writeBuffer(&bytes) }
    }

    /// What a client calls its request, if a header and a line of the log can carry it.
    static func requestID(_ given: String?) -> String {
        if let given, 1...128 ~= given.utf8.count, given.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) {
            return given
        }
        return "req-" + String(UInt64.random(in: 1...UInt64.max), radix: 16)
    }
}

extension OpenAIError {
    static func badHTTP(_ problem: String) -> OpenAIError {
        var error = OpenAIError(.invalidRequest, "bad_http", "this is no HTTP/1.1 request: \(problem)")
        error.closes = true
        return error
    }

    static func tooLarge(_ limit: Int) -> OpenAIError {
        var error = OpenAIError(
            .tooLarge, "body_too_large", "the body has more than the \(limit) bytes that --max-line allows")
        error.closes = true
        return error
    }

    /// What the parser said of bytes that are no request.
    init(_ error: HTTPParserError) {
        if error == .headerOverflow {
            self.init(.headersTooLarge, "headers_too_large", "the request line and the headers are too long")
            closes = true
        } else {
            self = .badHTTP("\(error)")
        }
    }
}
