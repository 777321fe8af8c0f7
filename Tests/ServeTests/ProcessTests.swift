import DoraServe
import Foundation
import Testing

/// The two programs together, as a user runs them.
@Suite struct ProcessTests {
    private static let repository = URL(filePath: TestServer.fixtures).deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let prompt =
        "Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
        + "Input: Tarnholt Foods raises its full-year profit guidance\nAnswer: "

    /// Programs stand beside the test bundle, or beside the program that runs it.
    private static func program(_ name: String) -> URL {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        return URL(filePath: bundle).deletingLastPathComponent().appending(path: name)
    }

    private struct Run {
        let status: Int32
        let output: String
        let errors: String
    }

    private func run(_ name: String, _ arguments: [String], input: String = "") throws -> Run {
        let process = Process()
        process.executableURL = Self.program(name)
        process.arguments = arguments
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stderr
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
        let errors = try stderr.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
            errors: String(decoding: errors, as: UTF8.self))
    }

    @Test func theClientPrintsWhatTheCommandPrints() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let socket = "unix:" + folder.appending(path: "s").path
        let adapter = Self.repository + "/models/adapters/sentiment"
        let server = Process()
        server.executableURL = Self.program("dora-serve")
        server.arguments = ["--adapter", adapter, "--listen", socket, "--log-level", "error"]
        let announcement = Pipe()
        server.standardOutput = announcement
        try server.run()
        let first = String(decoding: announcement.fileHandleForReading.availableData, as: UTF8.self)
        #expect(first.hasPrefix("listening on \(socket)\n"))

        // Streaming, and nothing but the text.
        for options in [["--max-tokens", "40", "--ignore-eos"], ["--stop", "tive"], ["--max-tokens", "0"]] {
            let alone = try run("dora-generate", ["--adapter", adapter] + options, input: Self.prompt)
            let asked = try run(
                "dora-generate", ["--connect", socket, "--adapter", "sentiment"] + options, input: Self.prompt
            )
            #expect(alone.status == 0 && asked.status == 0, "\(asked.errors)")
            #expect(asked.output == alone.output)
        }
        #expect(try run("dora-generate", ["--connect", socket, "adapters"]).output.contains("sentiment"))
        let unknown = try run("dora-generate", ["--connect", socket, "--adapter", "none"], input: "a")
        #expect(unknown.status == 65 && unknown.errors.contains("unknown_adapter"))

        server.terminate()
        server.waitUntilExit()
        #expect(server.terminationReason == .exit && server.terminationStatus == 0)
        #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "s").path))
        #expect(try run("dora-generate", ["--connect", socket], input: "a").status == 69)
    }

    @Test(
        arguments: [
            (["--adapter", "/no/such/adapter"], 66), (["--max-queue", "x"], 64), (["--bogus"], 64),
            (["--listen", "tcp:0.0.0.0:0"], 69), (["--model", "/no/such/model"], 66),
            (["--config", "/no/file"], 66),
        ] as [([String], Int32)])
    func aServerThatCannotStartSaysWhy(arguments: [String], status: Int32) throws {
        let found = try run("dora-serve", arguments)
        #expect(found.status == status)
        #expect(!found.errors.isEmpty && !found.errors.contains("Fatal"))
    }
}
