import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// Adapters that came with a tokenizer, or a vocabulary, of their own: each prompt is read, and each answer ended and
/// written, as transformers and PEFT do with the adapter's own files (`Tests/Fixtures/make/own_tokenizers.py`).
@Suite struct OwnTokenizerTests {
    private struct Answer: Decodable, Sendable {
        let adapter: String?
        let prompt: String
        let prompt_ids: [Int]
        let ids: [Int]
        let text: String

        static func all() throws -> [Answer] {
            let file = URL(filePath: TestServer.fixtures + "/own_tokenizers.json")
            return try JSONDecoder().decode([Answer].self, from: Data(contentsOf: file))
        }
    }

    private static let base = TestServer.fixtures + "/bases/texts"
    private static let adapters = TestServer.fixtures + "/adapters/"
    private static let exact = StorageOptions(weights: .f32, merged: .f32)

    private func server(_ change: @escaping (inout Engine.Options) -> Void = { _ in }) async throws
        -> TestServer
    {
        try await TestServer(model: Self.base, storage: Self.exact) { options in
            options.root = try? AdapterRoot(Self.adapters)
            options.keyValues = .f32
            change(&options)
        }
    }

    private static func line(_ answer: Answer, id: Int) throws -> String {
        let prompt = String(decoding: try JSONEncoder().encode(answer.prompt), as: UTF8.self)
        let adapter = answer.adapter.map { "\"\($0)\"" } ?? "null"
        return #"{"id":\#(id),"prompt":\#(prompt),"adapter":\#(adapter),"max_tokens":12}"#
    }

    @Test func theCommandReadsAndWritesInTheAdaptersTokens() throws {
        for answer in try Answer.all() {
            let model = try LoadedModel(
                ModelSettings(
                    model: Self.base, adapter: answer.adapter.map { Self.adapters + $0 }, storage: Self.exact,
                    threads: 1))
            let tokenizer = try #require(model.tokenizer)
            let ids = tokenizer.encode(answer.prompt, addingSpecialTokens: true)
            #expect(ids == answer.prompt_ids, "\(answer.adapter ?? "base")")
            let completion = try model.makeGenerator().generate(
                GenerationRequest(prompt: ids, maximumTokens: 12))
            #expect(completion.tokenIDs == answer.ids, "\(answer.adapter ?? "base")")
            #expect(completion.text == answer.text)
        }
    }

    /// All of them at once, loaded when they are first asked for and evicted in between: some prompts are read before
    /// the engine sees them, some only when their adapter is there.
    @Test func aBatchOfVocabulariesAnswersAsEachAlone() async throws {
        let server = try await server { $0.adapterBytes = 420_000 }
        let answers = try Answer.all()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<6 {
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(connection))
                    let client = try await server.connect()
                    for (id, answer) in (answers + answers).shuffled(using: &random).enumerated() {
                        let reply = try await client.ask(try Self.line(answer, id: id))
                        if reply.errorCode == "adapters_busy" { continue }
                        #expect(reply.tokenIDs == answer.ids, "\(answer.adapter ?? "base"): \(answer.prompt)")
                        #expect(reply["text"]?.string == answer.text)
                    }
                }
            }
            try await group.waitForAll()
        }
        let statistics = await server.statistics()
        #expect(statistics.finished > 100 && statistics.evictions > 0 && statistics.failed < 60)
        try await server.stop()
    }

    /// A prompt in ids is checked against the rows of the model that will answer it.
    @Test func idsBeyondTheVocabularyOfTheirAdapterAreRefused() async throws {
        let server = try await server()
        let client = try await server.connect()
        let known = try await client.ask(#"{"id":1,"token_ids":[301],"adapter":"texts-chat","max_tokens":1}"#)
        #expect(known.errorCode == nil)
        for (id, adapter) in [(302, "\"texts-chat\""), (301, "\"texts-tool\""), (300, "null")] {
            let reply = try await client.ask(
                #"{"id":2,"token_ids":[\#(id)],"adapter":\#(adapter),"max_tokens":1}"#)
            #expect(reply.errorCode == "token_out_of_range", "\(id) \(adapter)")
        }
        try await server.stop()
    }

    @Test func aTokenizerWithMoreTokensThanRowsIsRefused() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-rows-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            try Data(contentsOf: URL(filePath: Self.adapters + "texts-plain/\(name)")).write(
                to: folder.appending(path: name))
        }
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            try Data(contentsOf: URL(filePath: Self.adapters + "texts-chat/\(name)")).write(
                to: folder.appending(path: name))
        }
        #expect {
            try LoadedModel(ModelSettings(model: Self.base, adapter: folder.path, threads: 1))
        } throws: { error in
            let text = "\(error)"
            return text.contains("301") && text.contains("300") && text.contains("resize")
        }
    }

    /// Adapters that read and write alike share one tokenizer; one that brought the base's own files uses the base's.
    @Test func equalTokenizersAreShared() throws {
        let base = try LoadedBase(ModelSettings(model: Self.base, storage: Self.exact, threads: 1)) { _ in }
        func language(_ name: String) throws -> Language {
            try base.languages.language(
                of: Adapter(folder: Self.adapters + name, fitting: base.model.inventory, baseName: nil))
        }
        let chat = try language("texts-chat")
        #expect(try language("texts-chat") === chat)
        #expect(try language("texts-plain") === base.languages.base)
        #expect(try language("texts-spare") !== base.languages.base)
        #expect(
            chat.vocabularySize == 302 && chat.eosIDs.contains(chat.tokenizer?.specialID(of: "<|end|>") ?? -1)
        )
    }
}
