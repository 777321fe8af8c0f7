import DoraRuntime
import DoraText
import FoundationEssentials
import NIOPosix
import Testing

@testable import DoraServe

/// What there is beside answers: models, adapters, tokens, templates, drains.
@Suite struct HTTPOperationTests {
    private static let root = TestServer.fixtures + "/adapters"

    private func server(_ change: (inout HTTPSettings) -> Void = { _ in }) async throws -> TestServer {
        var settings = HTTPSettings(model: "base")
        settings.allowsLoading = true
        change(&settings)
        return try await TestServer(http: settings) { $0.root = try? AdapterRoot(Self.root) }
    }

    @Test func modelsAreTheBaseAndWhatLiesUnderTheRoot() async throws {
        let server = try await server()
        let client = try await server.http()
        let list = try await client.get("/v1/models")
        let models = list.json?["data"]?.array?.compactMap(\.object) ?? []
        #expect(list.json?["object"]?.string == "list" && models.count > 50)
        #expect(models.first?["id"]?.string == "base" && models.first?["parent"] == .null)
        #expect(models.first?["max_model_len"]?.int == 128)
        let adapter = models.first { $0["id"]?.string == "dora-qkv" }
        #expect(adapter?["parent"]?.string == "base" && adapter?["state"]?.string == "available")
        #expect(adapter?["owned_by"]?.string == "dora" && (adapter?["created"]?.int ?? 0) > 1_000_000_000)
        #expect(
            try await client.post("/v1/completions", #"{"model":"dora-qkv","prompt":[1],"max_tokens":1}"#)
                .status == 200)
        let one = try await client.get("/v1/models/dora-qkv")
        #expect(one.json?["state"]?.string == "loaded" && one.json?["generation"]?.int == 1)
        #expect(try await client.get("/v1/models/nobody").code == "model_not_found")
        #expect(try await client.get("/v1/models/..%2fdora-qkv").status == 404)
        try await server.stop()
    }

    /// A listing is kept while nothing changes, and not a moment longer.
    @Test func aListingIsNeverOld() async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "dora-root-\(UUID())")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        func add(_ name: String) throws {
            try FileManager.default.copyItem(
                at: URL(filePath: Self.root + "/dora-qkv"), to: root.appending(path: name))
        }
        try add("b")
        let server = try await TestServer {
            $0.root = try? AdapterRoot(root.path)
            $0.adapters = [("given", Self.root + "/dora-qkv")]
        }
        let client = try await server.http()
        func listing() async throws -> [String] {
            let models = try await client.get("/v1/models").json?["data"]?.array?.compactMap(\.object) ?? []
            return models.map { "\($0["id"]?.string ?? "") \($0["state"]?.string ?? "-")" }
        }
        #expect(try await listing() == ["base -", "b available", "given available"])
        #expect(try await listing() == ["base -", "b available", "given available"])
        _ = try await client.post("/v1/completions", #"{"model":"b","prompt":[1],"max_tokens":1}"#)
        #expect(try await listing() == ["base -", "b loaded", "given available"])
        let lines = try await server.connect()
        _ = try await lines.ask(#"{"op":"unload","name":"b"}"#)
        #expect(try await listing() == ["base -", "b available", "given available"])
        for name in ["a", "c", "h"] { try add(name) }
        let all = ["base -", "a available", "b available", "c available", "given available", "h available"]
        #expect(await eventually { (try? await listing()) == all })
        try FileManager.default.removeItem(at: root.appending(path: "c"))
        #expect(await eventually { (try? await listing())?.contains { $0.hasPrefix("c ") } == false })
        try await server.stop()
    }

    /// Before the base is loaded the server lives, and answers nothing else.
    @Test func whoComesBeforeTheModelIsToldSo() async throws {
        var settings = HTTPSettings(model: "base")
        settings.addresses = [.tcp(host: "127.0.0.1", port: 0)]
        settings.metricsAddresses = settings.addresses
        let lobby = try await Lobby(settings, maximumConnections: 100, hasTokens: false, on: .singleton)
        for address in lobby.addresses {
            #expect(try await RawHTTP(address).get("/health").text == #"{"status":"ok"}"#)
            #expect(try await RawHTTP(address).ask("HEAD", "/health").status == 200)
            for path in ["/ready", "/metrics", "/v1/models", "/"] {
                let reply = try await RawHTTP(address).get(path)
                #expect(reply.status == 503 && reply.code == "loading", "\(path)")
                #expect(reply["retry-after"] == "1" && reply["connection"] == "close")
            }
            let body = #"{"prompt":"\#(String(repeating: "a", count: 100_000))"}"#
            #expect(try await RawHTTP(address).post("/v1/completions", body).code == "loading")
        }
        let server = try await server()
        let http = HTTPServer(HTTPAPI(state: server.state, settings: settings))
        lobby.leading(to: [http.endpoint(settings.addresses[0]), http.endpoint(settings.addresses[0])]).open()
        for address in lobby.addresses { #expect(try await RawHTTP(address).get("/ready").status == 200) }
        await lobby.close()
        try await server.stop()
    }

    @Test func aLobbyHasSoMuchRoom() async throws {
        var settings = HTTPSettings(model: "base")
        settings.addresses = [.tcp(host: "127.0.0.1", port: 0)]
        let lobby = try await Lobby(settings, maximumConnections: 2, hasTokens: false, on: .singleton)
        let first = try #require(lobby.addresses.first)
        // More than there is room for: they come in side by side, so that nobody knows which two stay.
        var guests: [RawHTTP] = []
        for _ in 0..<10 { guests.append(try await RawHTTP(first)) }
        #expect(await eventually { (try? await RawHTTP(first).get("/health").status) == nil })
        var answered = 0
        for guest in guests where (try? await guest.get("/health").status) == 200 { answered += 1 }
        #expect(answered == 2)
        #expect(await eventually { (try? await RawHTTP(first).get("/health").status) == 200 })
        await lobby.close()
    }

    @Test func whatIsNotThereIsSaidSo() async throws {
        let server = try await server { $0.servesPage = false }
        let client = try await server.http()
        let lost = try await client.get("/chat/completions")
        #expect(lost.status == 404 && lost.code == "unknown_url")
        #expect(lost.error?["message"]?.string?.contains("did you mean /v1/chat/completions") == true)
        for path in ["/", "/v1", "/v1/embeddings", "/v1/../v1/models", "/%2e%2e/etc/passwd", "/v1/models%00"]
        {
            #expect(try await client.get(path).code == "unknown_url", "\(path)")
        }
        let wrong = try await client.get("/v1/completions")
        #expect(wrong.status == 405 && wrong["allow"] == "POST, OPTIONS")
        #expect(try await client.ask("DELETE", "/v1/models/base").status == 405)
        #expect(try await client.ask("PATCH", "/health").status == 405)
        try await server.stop()
    }

    @Test func adaptersComeAndGo() async throws {
        let server = try await server()
        let client = try await server.http()
        let load = #""lora_name":"mine","lora_path":"dora-qkv""#
        let loaded = try await client.post("/v1/load_lora_adapter", "{\(load)}")
        #expect(loaded.status == 200 && loaded.text == "Success: LoRA adapter 'mine' added successfully.")
        let taken = try await client.post("/v1/load_lora_adapter", "{\(load)}")
        #expect(taken.status == 409 && taken["x-should-retry"] == "false")
        #expect(
            try await client.post("/v1/load_lora_adapter", "{\(load),\"load_inplace\":true}").status == 200)
        for (path, status) in [("../bases", 400), ("/etc", 400), ("none", 404)] {
            let reply = try await client.post(
                "/v1/load_lora_adapter", #"{"lora_name":"other","lora_path":"\#(path)"}"#)
            #expect(reply.status == status, "\(path): \(reply.text)")
        }
        #expect(
            try await client.post("/v1/load_lora_adapter", #"{"lora_name":"a"}"#).error?["param"]?.string
                == "lora_path")
        #expect(try await client.get("/v1/adapters").json?["adapters"]?.array?.isEmpty == false)
        #expect(try await client.get("/v1/stats").json?["merges"]?.int == 1)
        let gone = try await client.post("/v1/unload_lora_adapter", #"{"lora_name":"mine"}"#)
        #expect(gone.status == 200 && gone.text == "Success: LoRA adapter 'mine' removed successfully.")
        #expect(try await client.post("/v1/unload_lora_adapter", #"{"lora_name":"mine"}"#).status == 404)
        let shut = try await self.server { $0.allowsLoading = false }
        #expect(try await shut.http().post("/v1/load_lora_adapter", "{\(load)}").code == "loading_disabled")
        try await server.stop()
        try await shut.stop()
    }

    @Test func textsAndTokensTurnIntoEachOther() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-http-\(UUID())")
        try FileManager.default.copyItem(at: URL(filePath: TestServer.fixtures + "/bases/texts"), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}".utf8)
            .write(to: folder.appending(path: "chat_template.jinja"))
        let server = try await TestServer(model: folder.path)
        let client = try await server.http()
        let tokens = try await client.post("/tokenize", #"{"prompt":"the cat","return_token_strs":true}"#)
            .json
        let ids = tokens?["tokens"]?.array?.compactMap(\.int) ?? []
        #expect(!ids.isEmpty && tokens?["count"]?.int == ids.count)
        #expect(tokens?["token_strs"]?.array?.count == ids.count)
        let bare = try await client.post("/tokenize", #"{"content":"the cat","add_special":false}"#).json
        let bareIDs = bare?["tokens"]?.array?.compactMap(\.int) ?? []
        #expect(ids.suffix(bareIDs.count) == bareIDs[...] && bare?["token_strs"] == .null)
        let text = try await client.post("/detokenize", #"{"tokens":\#(bareIDs)}"#).json
        #expect(text?["prompt"]?.string == "the cat")
        let messages = #"{"messages":[{"role":"user","content":"the cat"}]}"#
        #expect(
            try await client.post("/apply-template", messages).json?["prompt"]?.string == "<s><user>the cat")
        let chat = try await client.post("/tokenize", messages).json?["tokens"]?.array?.compactMap(\.int)
        let raw = try await client.post(
            "/tokenize", #"{"prompt":"<s><user>the cat","add_special_tokens":false}"#)
        #expect(chat != nil && chat == raw.json?["tokens"]?.array?.compactMap(\.int))
        let reply = try await client.post(
            "/v1/chat/completions",
            #"{"messages":[{"role":"user","content":"the cat"}],"max_tokens":3,"ignore_eos":true}"#)
        #expect(reply.json?["usage"]?.object?["prompt_tokens"]?.int == chat?.count)
        #expect(try await client.post("/tokenize", "{}").error?["param"]?.string == "prompt")
        #expect(try await client.post("/detokenize", #"{"tokens":["a"]}"#).status == 400)
        #expect(try await client.post("/tokenize", #"{"model":"x","prompt":"a"}"#).status == 404)
        try await server.stop()
    }

    @Test func aDrainSaysSoFirst() async throws {
        let server = try await TestServer(drainDelay: .seconds(6))
        let (client, idle) = (try await server.http(), try await server.http())
        #expect(try await client.get("/ready").status == 200)
        #expect(try await idle.get("/health").status == 200)
        #expect(try await client.post("/v1/drain", "{}").json?["draining"]?.bool == true)
        var announced = try await client.get("/ready")
        while announced.status == 200 {
            try await Task.sleep(for: .milliseconds(5))
            announced = try await client.get("/ready")
        }
        #expect(announced.status == 503 && announced["retry-after"] == "1")
        // Everything goes on meanwhile, for new clients too.
        let late = try await server.http()
        #expect(try await late.post("/v1/completions", #"{"prompt":[1],"max_tokens":1}"#).status == 200)
        #expect(try await late.get("/health").status == 200)
        try await server.end()
        #expect(await idle.isClosed())
    }
}
