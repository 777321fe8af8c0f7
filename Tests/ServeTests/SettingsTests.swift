import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

@Suite struct SettingsTests {
    private static let adapters = TestServer.fixtures + "/../../models/adapters"

    private func settings(
        _ flags: [ServerOption: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) async throws -> ServerSettings {
        try await ServerSettings(
            flags: flags.merging([.model: ["m"]]) { $1 }, environment: environment, file: file)
    }

    /// Others would break the JSON of the line to try.
    @Test(
        arguments: [
            ("open sesame", true), ("open sesame\n", true), ("open \"sesame\"", false),
            ("open\\sesame", false),
            ("open sesame \n", false), ("Sesam, öffne dich", false),
        ])
    func aTokenIsShownOnlyIfQuotesMakeJSONOfIt(text: String, isShown: Bool) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.utf8).write(to: file)
        let found = try await settings([.tokenFile: [file.path]])
        #expect(found.admission.clients != nil && found.tokenFile == (isShown ? file.path : nil))
    }

    @Test func whatIsSaidOfHTTP() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(
            #"{"http": "tcp:localhost:1", "allow-load": true, "cors-origin": ["https://a.example"]}"#.utf8
        )
        .write(to: file)
        let found = try await settings(
            [.hostName: ["Box"]], environment: ["DORA_NO_PAGE": "true"], file: file.path)
        #expect(found.http.addresses == [.tcp(host: "localhost", port: 1)] && found.addresses == [.standard])
        #expect(found.http.allowsLoading && !found.http.servesPage && found.http.speaksVLLM)
        #expect(found.http.origins == ["https://a.example"] && found.http.hostNames == ["box"])
        #expect(found.http.options.baseName == "m" && !found.http.options.refusesUnknownFields)
        for origin in ["*", "null", "a.example", "https://a.example/", "HTTPS://a.example"] {
            await #expect(throws: OptionProblem.self) { try await settings([.corsOrigin: [origin]]) }
        }
        // One name for two models.
        await #expect(throws: OptionProblem.self) {
            try await settings([.http: ["tcp:localhost:1"], .adapter: ["m=/x/style"]])
        }
    }

    /// The factor is one of every adapter that is given, and no part of its name.
    @Test func adaptersAreScaledAndSummed() async throws {
        let found = try await settings([
            .adapter: ["/x/style", "mix=/x/style*0.5+/x/facts"], .adapterScale: ["0.5"],
        ])
        #expect(found.engine.adapters.map(\.name) == ["style", "mix"])
        #expect(found.engine.adapters.map(\.folder) == ["/x/style*0.5", "/x/style*0.25+/x/facts*0.5"])
        await #expect(throws: OptionProblem.self) {
            try await settings([.adapter: ["/x/a"], .adapterScale: ["half"]])
        }
    }

    @Test func theCommandLineWinsOverTheEnvironmentAndThatOverTheFile() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(
            #"{"max-queue": 1, "max-sequences": 2, "max-inflight": "3", "listen": ["tcp:localhost:1", "unix:/x"], "drain-timeout": 1.5}"#
                .utf8
        ).write(to: file)
        let found = try await settings(
            [.maximumQueue: ["30"]], environment: ["DORA_MAX_QUEUE": "20", "DORA_MAX_SEQUENCES": "21"],
            file: file.path)
        #expect(found.engine.maximumQueue == 30)
        #expect(found.engine.maximumSequences == 21)
        #expect(found.limits.maximumInFlight == 3)
        #expect(found.addresses == [.tcp(host: "localhost", port: 1), .unix(path: "/x")])
        #expect(found.drainTimeout == .seconds(1.5))
    }

    @Test(
        arguments: [
            (#"{"max_queue": 1}"#, "max_queue"), (#"{"max-queue": [1]}"#, "max-queue"),
            (#"{"adapter": ["a", 1]}"#, "adapter"), (#"{"listen": {}}"#, "listen"),
            (#"{"threads": null}"#, "threads"), (#"[]"#, "document"),
        ])
    func whatIsNoOptionInTheFileIsAnError(text: String, field: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.utf8).write(to: file)
        await #expect {
            try await settings(file: file.path)
        } throws: { ($0 as? LoadError)?.field == field }
    }

    @Test(
        arguments: [
            (.maximumQueue, "0"), (.maximumQueue, "many"), (.threads, "0"), (.memory, "lots"), (.kv, "f8"),
            (.weights, "q3"), (.activations, "12"), (.listen, "nowhere"), (.readTimeout, "-1"),
            (.logLevel, "loud"),
            (.defaultAdapter, "none"), (.adapter, "a b/c d"), (.context, "-5"),
        ] as [(ServerOption, String)])
    func aBadValueNamesItsOption(option: ServerOption, value: String) async {
        await #expect {
            try await settings([option: [value]])
        } throws: { ($0 as? OptionProblem)?.option == "--" + option.rawValue }
    }

    @Test(arguments: [(nil, "f16"), ("f16", "f16"), ("f32", "f32"), ("q8", "q8")] as [(String?, String)])
    func keysAndValuesAreKeptAsAsked(given: String?, format: String) async throws {
        let found = try await settings(given.map { [.kv: [$0]] } ?? [:])
        #expect(String(describing: found.model.keyValueFormat) == format)
    }

    @Test func adaptersAreNamedAfterTheirFoldersAndTheOnlyOneIsTheDefault() async throws {
        let one = try await settings([.adapter: ["/x/sentiment"]])
        #expect(one.engine.adapters.map(\.name) == ["sentiment"] && one.engine.defaultAdapter == "sentiment")
        let two = try await settings([.adapter: ["/x/sentiment/", "other=/y/z w"]])
        #expect(
            two.engine.adapters.map(\.name) == ["sentiment", "other"]
                && two.engine.adapters.map(\.folder)[1] == "/y/z w")
        #expect(two.engine.defaultAdapter == nil)
        await #expect(throws: OptionProblem.self) { try await settings([.adapter: ["/x/a", "/y/a"]]) }
    }

    @Test func otherBasesAreAcceptedOnlyIfSaid() async throws {
        #expect(try await !settings().model.acceptsOtherBase)
        #expect(try await settings(environment: ["DORA_ACCEPT_OTHER_BASE": "true"]).model.acceptsOtherBase)
    }

    @Test func theDefaultMayLieUnderTheRoot() async throws {
        let found = try await settings([.adapterRoot: [Self.adapters], .defaultAdapter: ["topic"]])
        #expect(found.engine.defaultAdapter == "topic")
    }
}
