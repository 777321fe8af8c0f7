import DoraLoader
import DoraTensor
import FoundationEssentials

/// Bases and adapters that PEFT and transformers made, and what they answer (`Tests/Fixtures/make/README.md`).
enum Fixtures {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let folder = root.appending(path: "Fixtures")

    static func path(_ relative: String) -> String { folder.appending(path: relative).path }
    static let demo = root.deletingLastPathComponent().appending(path: "models/base").path

    static let golden = names("golden").filter { $0 != "peft_matching.json" }
    static let families = names("families")

    private static func names(_ relative: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(relative))) ?? []).sorted()
    }
}

/// What the base with the adapter beside it answers.
struct GoldenCase: Decodable, Sendable {
    struct Prompt: Decodable, Sendable {
        let prompt_ids: [Int]
        let greedy_ids: [Int]
        let greedy_logprobs: [Double]
        let prompt_logprobs: [Double]
    }

    let base: String
    let adapter: String?
    let quantize: String?
    let tolerance: Double
    let prompts: [Prompt]

    static func load(_ file: String) throws -> GoldenCase {
        try JSONDecoder().decode(
            GoldenCase.self, from: Data(contentsOf: URL(filePath: Fixtures.path("golden/" + file))))
    }

    static func family(_ name: String) throws -> [GoldenCase] {
        struct File: Decodable { let cases: [GoldenCase] }
        let file = URL(filePath: Fixtures.path("families/\(name)/golden.json"))
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: file)).cases
    }

    /// - Parameter folders: of bases and of adapters.
    func model(
        in folders: (bases: String, adapters: String) = ("bases", "adapters"), on compute: Compute
    ) throws -> MergedModel {
        try MergedModel(
            ModelFiles(Fixtures.path("\(folders.bases)/\(base)")),
            adapter: try adapter.map { text in
                try AdapterSum(text).mapFolders { Fixtures.path("\(folders.adapters)/\($0)") }
            }, quantization: quantize.flatMap(Quantization.init(rawValue:)), acceptsOtherBase: true,
            on: compute)
    }
}

/// A folder for one test, removed with the value that holds it.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: file(name)))
    }

    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
}
