import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// Who may ask, and what browsers are kept from.
@Suite struct HTTPAccessTests {
    @Test func anotherNameForThisMachineIsRefused() async throws {
        var settings = HTTPSettings(model: "base")
        settings.hostNames = ["workstation"]
        let server = try await TestServer(http: settings)
        let client = try await server.http()
        for host in [
            "localhost", "localhost:8000", "127.0.0.1:1", "[::1]", "[::1]:80", "LOCALHOST", "workstation:9",
        ] {
            #expect(try await client.ask("GET", "/v1/models", host: host).status == 200, "\(host)")
        }
        for host in [
            "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", "",
            "localhost:x",
        ] {
            let reply = try await client.ask("GET", "/health", host: host)
            #expect(reply.status == 403 && reply.code == "forbidden_host", "\(host)")
        }
        try await server.stop()
    }

    @Test func pagesOfOthersAreRefused() async throws {
        var settings = HTTPSettings(model: "base")
        settings.origins = ["https://app.example"]
        let server = try await TestServer(http: settings)
        let client = try await server.http()
        let body = #"{"prompt":[1],"max_tokens":1}"#
        for origin in ["https://evil.example", "null", "http://localhost:1", "https://app.example.evil"] {
            let reply = try await client.post("/v1/completions", body, ["Origin: \(origin)"])
            #expect(reply.status == 403 && reply.code == "forbidden_origin", "\(origin)")
            #expect(reply["access-control-allow-origin"] == nil)
            #expect(try await client.get("/v1/models", ["Origin: \(origin)"]).status == 403)
        }
        // A page's own server, and those that were named.
        #expect(try await client.post("/v1/completions", body, ["Origin: http://localhost"]).status == 200)
        let listed = try await client.post("/v1/completions", body, ["Origin: https://app.example"])
        #expect(listed.status == 200 && listed["access-control-allow-origin"] == "https://app.example")
        #expect(listed["vary"] == "Origin" && listed["access-control-allow-credentials"] == nil)
        #expect(listed["access-control-expose-headers"]?.contains("x-request-id") == true)
        let asked = try await client.ask(
            "OPTIONS", "/v1/completions", nil,
            [
                "Origin: https://app.example", "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: authorization, x-stainless-os",
            ])
        #expect(
            asked.status == 204 && asked["access-control-allow-headers"] == "authorization, x-stainless-os")
        #expect(asked["access-control-max-age"] == "600")
        let refused = try await client.ask(
            "OPTIONS", "/v1/completions", nil,
            ["Origin: https://evil.example", "Access-Control-Request-Method: POST"])
        #expect(refused.status == 403)
        // No form can say this.
        for type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"] {
            let reply = try await client.post("/v1/completions", body, ["Content-Type: \(type)"])
            #expect(reply.status == 415, "\(type)")
        }
        #expect(
            try await client.post("/v1/completions", body, ["Content-Type: Application/JSON; charset=UTF-8"])
                .status
                == 200)
        try await server.stop()
    }

    @Test func tokensOpen() async throws {
        var settings = HTTPSettings(model: "base")
        settings.allowsLoading = true
        let server = try await TestServer(
            token: "client-secret", administrator: "admin-secret", http: settings)
        let client = try await server.http()
        for headers in [[], ["Authorization: Bearer wrong-secret"], ["Authorization: Basic client-secret"]] {
            let reply = try await client.get("/v1/models", headers)
            #expect(
                reply.status == 401 && reply.code == "invalid_api_key"
                    && reply["www-authenticate"] == "Bearer")
            #expect(try await client.get("/nothing", headers).status == 401)
        }
        // Whoever asks whether it lives needs none, and any Host is right.
        #expect(try await client.ask("GET", "/health", host: "balancer").status == 200)
        let key = ["authorization: bearer client-secret"]
        #expect(try await client.get("/v1/models", key).status == 200)
        let unload = #"{"lora_name":"a"}"#
        #expect(try await client.post("/v1/unload_lora_adapter", unload, key).code == "admin_only")
        #expect(try await client.post("/v1/drain", "{}", key).status == 403)
        let admin = ["Authorization: Bearer admin-secret"]
        #expect(try await client.post("/v1/unload_lora_adapter", unload, admin).code == "adapter_not_loaded")
        // The same over lines.
        let line = try await server.connect()
        _ = try await line.ask(#"{"op":"hello","token":"client-secret"}"#)
        #expect(try await line.ask(#"{"op":"unload","name":"a"}"#).errorCode == "admin_only")
        _ = try await line.ask(#"{"op":"hello","token":"admin-secret"}"#)
        #expect(try await line.ask(#"{"op":"unload","name":"a"}"#).errorCode == "unknown_adapter")
        try await server.stop()
    }

    @Test func aFileHoldsSeveralTokens() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dora-tokens-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("first-token\r\n\nsecond-token \n".utf8).write(to: file)
        let tokens = try TokenSet(file: file.path, option: .tokenFile)
        #expect(tokens.contains("first-token".utf8) && tokens.contains("second-token".utf8))
        #expect(!tokens.contains("first-token\r".utf8) && !tokens.contains("".utf8))
        try Data("first-token\nshort\n".utf8).write(to: file)
        #expect(throws: OptionProblem.self) { try TokenSet(file: file.path, option: .tokenFile) }
    }

    @Test func requestsHaveNames() async throws {
        let server = try await TestServer()
        let client = try await server.http()
        #expect(try await client.get("/health", ["X-Request-ID: mine-1"])["x-request-id"] == "mine-1")
        for odd in [String(repeating: "x", count: 129), "two words", "ä"] {
            let made = try await client.get("/health", ["X-Request-ID: \(odd)"])["x-request-id"]
            #expect(made != odd && made?.hasPrefix("req-") == true)
        }
        try await server.stop()
    }
}
