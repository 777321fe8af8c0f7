import FoundationEssentials
import Testing

/// `dora-export` from the outside.
@Suite struct ExportTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
    private var output: String { folder.appending(path: "out").path }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func removeFolder() { try? FileManager.default.removeItem(at: folder) }

    /// The adapter's base is found, and the folder stands by itself.
    @Test func anExportedAdapterAnswersAsTheAdapter() throws {
        defer { removeFolder() }
        let export = try Command(
            program: "dora-export", "--adapter", Paths.sentiment, "-o", output, "--dtype", "f32")
        #expect(export.status == 0 && export.output.isEmpty)
        #expect(export.errors.contains("model: ") && !export.errors.contains("warning"))
        let input = Array("Input: the board is ordered to pay damages by a jury\nAnswer: ".utf8)
        let exact = ["--weights", "f32", "--merged", "f32", "--score"]
        let theirs = try Command(arguments: ["--adapter", Paths.sentiment] + exact, input: input)
        let mine = try Command(arguments: ["--model", output] + exact, input: input)
        #expect(mine.status == 0 && !mine.output.isEmpty)
        #expect(mine.output == theirs.output)
    }

    @Test func eachFailureIsOneLineWithItsExitStatus() throws {
        defer { removeFolder() }
        func run(_ arguments: String..., status: Int32, naming word: String) throws {
            let export = try Command(program: "dora-export", arguments: arguments)
            #expect(export.status == status, "\(export.errors)")
            #expect(export.errors.contains(word), "\(export.errors)")
            #expect(export.output.isEmpty)
            if status != 64 { #expect(export.errors.split(separator: "\n").count == 1, "\(export.errors)") }
        }
        try run("--model", Paths.base, status: 64, naming: "-o")
        try run("--model", Paths.base, "-o", output, "--dtype", "f8", status: 64, naming: "f8")
        try run("--model", Paths.base, "-o", output, "--shard-size", "0", status: 64, naming: "shard-size")
        try run("--model", "/nowhere", "-o", output, status: 66, naming: "/nowhere")
        try run("--model", Paths.base, "-o", Paths.base, status: 73, naming: "not empty")
        try run("--model", Paths.base, "-o", output + "/deep/down", status: 73, naming: "No such file")
        let misfit = Paths.path("Tests/Fixtures/adapters/dora-qkv")
        try run("--model", Paths.base, "--adapter", misfit, "-o", output, status: 65, naming: "lora_A")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
}
