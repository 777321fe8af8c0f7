import DoraRuntime
import DoraText
import NIOCore
import Testing

@testable import DoraServe

/// HTTP itself: what is a request, how long it may take, what ends a connection.
@Suite struct HTTPTransportTests {
    @Test func aConnectionIsKept() async throws {
        let server = try await TestServer()
        let client = try await server.http()
        for _ in 0..<3 {
            let reply = try await client.get("/health")
            #expect(reply.status == 200 && reply.json?["status"]?.string == "ok")
            #expect(reply["connection"] == nil && reply["date"] != nil)
        }
        // A final slash is of no meaning, HEAD has no body, OPTIONS tells what there is.
        #expect(try await client.get("/health/").status == 200)
        let head = try await client.ask("HEAD", "/v1/models")
        #expect(
            head.status == 200 && head.body.isEmpty && (head["content-length"].flatMap { Int($0) } ?? 0) > 50)
        let options = try await client.ask("OPTIONS", "/v1/completions")
        #expect(options.status == 204 && options["allow"] == "POST, OPTIONS")
        // Several at once are answered in their order.
        try await client.send(
            RawHTTP.request("GET", "/health") + RawHTTP.request("GET", "/nothing")
                + RawHTTP.request("GET", "/ready"))
        #expect(
            await [client.reply()?.status, client.reply()?.status, client.reply()?.status] == [200, 404, 200])
        // The last is the last.
        let last = try await client.get("/health", ["Connection: close"])
        #expect(last["connection"] == "close")
        #expect(await client.isClosed())
        try await server.stop()
    }

    @Test func oldClientsAreServed() async throws {
        let server = try await TestServer()
        let client = try await server.http()
        try await client.send("GET /health HTTP/1.0\r\n\r\n")
        // Its Host may be missing, and then nobody knows whom it meant.
        #expect(await client.reply()?.status == 403)
        let other = try await server.http()
        try await other.send("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        #expect(await other.reply()?["connection"] == "close")
        #expect(await other.isClosed())
        let stream = try await server.http()
        let body = #"{"prompt":[1,2,3],"max_tokens":3,"ignore_eos":true,"stream":true}"#
        try await stream.send(
            "POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        let reply = await stream.reply()
        #expect(reply?["transfer-encoding"] == nil && reply?.text.hasSuffix("data: [DONE]\n\n") == true)
        try await server.stop()
    }

    /// What proxies and servers read differently must not be read at all (RFC 9112, 11.2).
    @Test(arguments: [
        "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n",
        "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\nHost: localhost\n\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: 1\nX-B: 2\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n folded\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\u{0}b\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n",
        "{\"op\":\"ping\"}\n",
    ])
    func whatIsNoRequestIsRefused(_ bytes: String) async throws {
        let server = try await TestServer()
        let client = try await server.http()
        try await client.send(bytes)
        let reply = await client.reply()
        #expect(reply?.status == 400 && reply?.code == "bad_http", "\(reply?.text ?? "")")
        #expect(reply?["connection"] == "close")
        #expect(await client.isClosed())
        try await server.stop()
    }

    @Test func sizesHaveLimits() async throws {
        var limits = ConnectionLimits()
        limits.maximumLine = 1000
        let server = try await TestServer(limits: limits)
        // Said, then before anything of it is read; unsaid, when it is too much.
        let said = try await server.http()
        try await said.send(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"
        )
        #expect(await said.reply()?.code == "body_too_large")
        #expect(await said.isClosed())
        let unsaid = try await server.http()
        try await unsaid.send(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<3 { try? await unsaid.send("200\r\n" + String(repeating: "x", count: 512) + "\r\n") }
        #expect(await unsaid.reply()?.status == 413)
        for head in [
            "GET /" + String(repeating: "x", count: 20_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + String(repeating: "x", count: 20_000) + "\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n" + String(repeating: "X: y\r\n", count: 101) + "\r\n",
        ] {
            let client = try await server.http()
            try? await client.send(head)
            #expect(await client.reply()?.code == "headers_too_large")
        }
        // Who asks first is told.
        let polite = try await server.http()
        let body = #"{"prompt":[1,2],"max_tokens":1}"#
        try await polite.send(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        )
        #expect(await polite.head()?.status == 100)
        try await polite.send(body)
        #expect(await polite.reply()?.status == 200)
        try await server.stop()
    }

    @Test func slownessHasLimits() async throws {
        var settings = HTTPSettings(model: "base")
        settings.limits.head = .milliseconds(300)
        settings.limits.body = .milliseconds(300)
        let server = try await TestServer(http: settings)
        let head = try await server.http()
        try await head.send("GET /health HTTP/1.1\r\nHo")
        #expect(await head.reply()?.status == 408)
        let body = try await server.http()
        try await body.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        let late = await body.reply()
        #expect(late?.code == "request_timeout" && late?["connection"] == "close")
        try await server.stop()
    }

    @Test func silenceIsNoFault() async throws {
        var settings = HTTPSettings(model: "base")
        settings.limits.idle = .milliseconds(200)
        let server = try await TestServer(http: settings)
        // The end comes without a word.
        #expect(try await server.http().isClosed())
        try await server.stop()
    }

    @Test func aClientThatReadsNothingIsDropped() async throws {
        var settings = HTTPSettings(model: "base")
        settings.limits.write = .milliseconds(300)
        let server = try await TestServer(http: settings)
        let client = try await server.http(reads: false)
        // More than the buffers of both ends hold.
        for _ in 0..<400 { try? await client.send(RawHTTP.request("GET", "/metrics")) }
        #expect(await eventually { server.state.connectionCount == 0 })
        // Others never noticed.
        #expect(try await server.http().get("/health").status == 200)
        try await server.stop()
    }

    @Test func connectionsAreCountedTogether() async throws {
        var limits = ConnectionLimits()
        limits.maximumConnections = 2
        let server = try await TestServer(limits: limits)
        let (line, http) = (try await server.connect(), try await server.http())
        _ = try await line.ask(#"{"op":"ping"}"#)
        #expect(try await http.get("/health").status == 200)
        let refused = try await server.http()
        let reply = await refused.reply()
        #expect(reply?.status == 429 && reply?.code == "busy" && reply?["retry-after"] != nil)
        #expect(await refused.isClosed())
        try await server.stop()
    }
}
