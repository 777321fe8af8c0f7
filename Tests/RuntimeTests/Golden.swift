import FoundationEssentials

/// A golden case made by PEFT (see `Tests/Fixtures/make/README.md`).
struct GoldenCase: Decodable, Sendable {
    struct Prompt: Decodable, Sendable {
        let prompt_ids: [Int]
        let greedy_ids: [Int]
        let greedy_logprobs: [Double]
        let prompt_logprobs: [Double]
        let top: [[[Double]]]
    }

    let base: String
    let adapter: String?
    let quantize: String?
    let tolerance: Double
    let prompts: [Prompt]

    /// Cases of one family: `base` and `adapter` are paths from `families`.
    static func family(_ name: String) throws -> [GoldenCase] {
        struct File: Decodable { let cases: [GoldenCase] }
        let url = Fixtures.url("families/\(name)/golden.json")
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).cases
    }

    static func load(_ name: String) throws -> GoldenCase {
        let url = Fixtures.url("golden/\(name).json")
        return try JSONDecoder().decode(GoldenCase.self, from: Data(contentsOf: url))
    }
}

enum Fixtures {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures")

    static func url(_ path: String) -> URL { root.appending(path: path) }
    static func path(_ path: String) -> String { url(path).path }

    /// Folders of tiny models, each of another family.
    static let families = ((try? FileManager.default.contentsOfDirectory(atPath: path("families"))) ?? [])
        .sorted()

    /// Names of all golden cases.
    static let cases: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path("golden"))) ?? []
        return files.filter { $0.hasSuffix(".json") && $0 != "peft_matching.json" }.map {
            String($0.dropLast(5))
        }
        .sorted()
    }()
}
