import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// Given, else what the adapters were trained on, else the demo model; never in silence.
@Suite struct BaseChoiceTests {
    private static let fixtures = TestServer.fixtures
    private static let demo = fixtures + "/bases/int8"
    private let places = ModelPlaces(HubCache(Self.fixtures + "/hub"))
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        .path

    /// Folders of adapters that name these bases.
    private func adapters(_ names: String?...) throws -> [String] {
        try names.enumerated().map { index, name in
            let adapter = "\(folder)/\(index)"
            try FileManager.default.createDirectory(atPath: adapter, withIntermediateDirectories: true)
            let value = name.map { "\"\($0)\"" } ?? "null"
            try Data(#"{"peft_type": "LORA", "base_model_name_or_path": \#(value)}"#.utf8)
                .write(to: URL(filePath: adapter + "/adapter_config.json"))
            return adapter
        }
    }

    private func choice(_ given: String? = nil, _ adapters: [String] = []) throws -> BaseChoice {
        try BaseChoice(given: given, adapters: adapters, places: places, demo: Self.demo)
    }

    private func expectProblem(_ adapters: [String], naming words: String...) {
        #expect {
            try choice(nil, adapters)
        } throws: { error in
            let problem = error as? OptionProblem
            return problem?.option == "--model" && words.allSatisfy { problem?.problem.contains($0) == true }
        }
    }

    @Test func whatIsGivenWins() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let found = try choice("/somewhere", adapters("dora-fixtures/tiny-llama", "org/other", nil))
        #expect(found.path == "/somewhere" && found.reason == nil && found.notice == nil)
    }

    @Test func theOneBaseOfAllAdaptersIsTaken() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let snapshot = try places.base("dora-fixtures/tiny-llama")
        // By two names.
        let found = try choice(nil, adapters("dora-fixtures/tiny-llama", snapshot))
        #expect(found.path == snapshot)
        #expect(
            found.notice
                == "model: \(snapshot) ('dora-fixtures/tiny-llama', the base of \(folder)/0, \(folder)/1)")
    }

    @Test func adaptersThatDisagreeOrDoNotSayAreAnError() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let base = Self.fixtures + "/bases/nf4"
        expectProblem(
            try adapters("dora-fixtures/tiny-llama", base), naming: "different bases", "tiny-llama", base,
            "/0", "/1")
        expectProblem(try adapters("dora-fixtures/tiny-llama", nil), naming: "/1", "does not say")
        expectProblem(try adapters("/old/machine/llama"), naming: "/0", "/old/machine/llama", "not there")
        #expect(throws: LoadError.self) { try choice(nil, adapters("dora-fixtures/tiny-llama", "org/none")) }
        #expect(throws: LoadError.self) { try choice(nil, ["/no/adapter"]) }
    }

    @Test func theDemoModelIsForItsOwnAdapters() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try choice().path == Self.demo)
        #expect(try choice(nil, adapters("bases/int8", "bases/int8")).path == Self.demo)
        expectProblem(try adapters("int8"), naming: "not there")
        #expect(throws: LoadError.self) { try choice(nil, adapters("bases/int8", "bases/int4")) }
        #expect(throws: OptionProblem.self) {
            try BaseChoice(given: nil, adapters: [], places: places, demo: nil)
        }
    }

    @Test func aServersAdaptersAreFoundByIDAndNamedAfterIt() async throws {
        let environment = ["HF_HUB_CACHE": Self.fixtures + "/hub"]
        let found = try await ServerSettings(
            flags: [.adapter: ["dora-fixtures/tiny-dora@main", "b=dora-fixtures/tiny-dora"]],
            environment: environment,
            file: nil)
        #expect(found.engine.adapters.map(\.name) == ["tiny-dora", "b"])
        #expect(
            try found.engine.adapters.map(\.folder)
                == Array(repeating: places.adapter("dora-fixtures/tiny-dora"), count: 2))
        #expect(try found.model.model == places.base("dora-fixtures/tiny-llama"))
        #expect(found.modelReason?.contains("tiny-llama") == true)
        let given = try await ServerSettings(
            flags: [.adapter: ["dora-fixtures/tiny-dora"]],
            environment: environment.merging(["DORA_MODEL": "dora-fixtures/tiny-llama@v1"]) { $1 }, file: nil)
        #expect(
            try given.model.model == places.base("dora-fixtures/tiny-llama@v1") && given.modelReason == nil)
    }
}
