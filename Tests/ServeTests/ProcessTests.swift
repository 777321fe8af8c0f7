import DoraLoader
import DoraServe
import DoraText
import Foundation
import Testing

/// The two programs together, as a user runs them.
@Suite struct ProcessTests {
    static let repository = URL(filePath: TestServer.fixtures).deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let prompt =
        "Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
        + "Input: Tarnholt Foods raises its full-year profit guidance\nAnswer: "

    /// Programs stand beside the test bundle, or beside the program that runs it.
    static func program(_ name: String) -> URL {
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

    /// A server, and what it says once it listens.
    private func serve(_ arguments: [String]) throws -> (process: Process, announcement: [String]) {
        let process = Process()
        process.executableURL = Self.program("dora-serve")
        process.arguments = arguments + ["--log-level", "error"]
        let announcement = Pipe()
        process.standardOutput = announcement
        try process.run()
        var text = ""
        // Where it listens, what it is, and a line to try.
        while text.split(separator: "\n").count < 3 || !text.hasSuffix("\n") {
            let data = announcement.fileHandleForReading.availableData
            if data.isEmpty { break }
            text += String(decoding: data, as: UTF8.self)
        }
        return (process, text.split(separator: "\n").map(String.init))
    }

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func theClientPrintsWhatTheCommandPrints() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let socket = "unix:" + folder.appending(path: "s").path
        let adapter = Self.repository + "/models/adapters/sentiment"
        let (server, announcement) = try serve(["--adapter", adapter, "--listen", socket])
        #expect(announcement.first == "listening on \(socket)")

        // Streaming, and nothing but the text.
        for options in [
            ["--max-tokens", "40", "--ignore-eos"], ["--stop", "tive"], ["--max-tokens", "0"],
            ["--ignore-eos", "--stop-id", "1"], ["--ignore-eos", "--stop", "<|end_of_text|>"],
        ] {
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

    /// The client's prompt is the server's prompt, in every way of giving it.
    @Test func nothingOfAPromptIsLostOnTheWayToAServer() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let socket = "unix:" + folder.appending(path: "s").path
        let (server, _) = try serve(["--listen", socket])
        defer { server.terminate() }
        let options = ["--connect", socket, "--json", "--logprobs", "1", "--max-tokens", "3", "--ignore-eos"]
        let file = folder.appending(path: "prompt").path
        let prompts = try ReferencePrompt.all().filter {
            $0.tokenizer == "models/base" && $0.text.hasSuffix("\n")
        }
        try #require(prompts.contains { $0.idsWithSpecial == nil } && prompts.count > 5)
        for prompt in prompts {
            try Data(prompt.text.utf8).write(to: URL(filePath: file))
            func expect(_ ids: [Int], _ ways: [(arguments: [String], input: String)]) throws {
                let words = ids.map(String.init).joined(separator: " ")
                let expected = try object(
                    run("dora-generate", options + ["--token-ids", "--prompt", words]))
                for way in ways {
                    let found = try object(
                        run("dora-generate", options + way.arguments, input: way.input))
                    #expect(found["prompt_tokens"]?.int == ids.count, "\(prompt.text.debugDescription)")
                    #expect(found.logprobs == expected.logprobs && found.logprobs.count == 6)
                }
            }
            try expect(
                prompt.ids,
                [
                    (["--no-special", "--prompt", prompt.text], ""),
                    (["--no-special", "--prompt-file", file], ""), (["--no-special"], prompt.text),
                ])
            if let ids = prompt.idsWithSpecial {
                try expect(ids, [(["--prompt", prompt.text], ""), ([], prompt.text + "\n")])
            }
        }
    }

    /// Scores of the command, of the operation, and of one text after the other: the same digits.
    @Test func scoresAreTheSameFromTheServer() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let adapter = Self.repository + "/models/adapters/sentiment"
        let socket = "unix:" + folder.appending(path: "s").path
        let (server, _) = try serve(["--adapter", adapter, "--listen", socket])
        defer { server.terminate() }
        let labels = ["--continuation", "negative", "--continuation", "positive", "--continuation", "-\n"]
        for options in [
            ["--score"], ["--score", "--json", "--logprobs", "2"], labels, labels + ["--score", "--json"],
            labels + ["--no-special"], ["--score", "--token-ids", "--prompt", "5 6 7"],
            ["--continuation", "8 9", "--token-ids", "--prompt", "5 6 7", "--json"],
        ] {
            let alone = try run("dora-generate", ["--adapter", adapter] + options, input: Self.prompt)
            let asked = try run("dora-generate", ["--connect", socket] + options, input: Self.prompt)
            #expect(alone.status == 0 && asked.status == 0, "\(alone.errors)\(asked.errors)")
            #expect(asked.output == alone.output && !alone.output.isEmpty)
        }
        let empty = ["--continuation", "", "--prompt", "a"]
        #expect(try run("dora-generate", ["--connect", socket] + empty).status == 65)
    }

    /// What the command chooses, the server chooses: the same text, and the same digits.
    @Test func choicesAreTheSameFromTheServer() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let adapter = Self.repository + "/models/adapters/topic"
        let socket = "unix:" + folder.appending(path: "s").path
        let (server, _) = try serve(["--adapter", adapter, "--listen", socket])
        defer { server.terminate() }
        let labels = ["--choice", "positive", "--choice", "-x", "--choice", "law and order"]
        for options in [labels, ["--choice", "8 9", "--choice", "8 7", "--token-ids", "--prompt", "5 6 7"]] {
            let alone = try run("dora-generate", ["--adapter", adapter] + options, input: Self.prompt)
            let asked = try run("dora-generate", ["--connect", socket] + options, input: Self.prompt)
            #expect(alone.status == 0 && asked.status == 0, "\(alone.errors)\(asked.errors)")
            #expect(asked.output == alone.output && !alone.output.isEmpty)
            let json = options + ["--json", "--logprobs", "2"]
            let whole = try object(run("dora-generate", ["--adapter", adapter] + json, input: Self.prompt))
            let served = try object(run("dora-generate", ["--connect", socket] + json, input: Self.prompt))
            #expect(whole["text"]?.string == alone.output && whole["choices"]?.array?.isEmpty == false)
            for key in ["text", "token_ids", "logprobs", "choice", "choices", "finish_reason"] {
                #expect(whole[key] == served[key])
            }
        }
        for options in [["--stop", "x"], ["--ignore-eos"], ["--score"], ["--continuation", "a"]] {
            #expect(try run("dora-generate", ["--prompt", "a"] + labels + options).status == 64)
        }
        let twice = ["--choice", "a", "--choice", "a", "--prompt", "a"]
        #expect(try run("dora-generate", twice).status == 65)
        #expect(try run("dora-generate", ["--connect", socket] + twice).status == 65)
    }

    @Test func aPackedBaseAnswersAsItsFolderDoes() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (base, packed) = (Self.repository + "/models/base", folder.appending(path: "base.dora").path)
        #expect(try run("dora-pack", [base, "-o", packed]).status == 0)
        let adapter = Self.repository + "/models/adapters/sentiment"
        let socket = "unix:" + folder.appending(path: "s").path
        let (server, _) = try serve(["--model", packed, "--adapter", adapter, "--listen", socket])
        defer { server.terminate() }
        let options = ["--json", "--logprobs", "3", "--max-tokens", "20", "--ignore-eos"]
        for (name, path) in [("sentiment", ["--adapter", adapter]), ("", [])] {
            let asked = try run(
                "dora-generate", ["--connect", socket, "--adapter", name] + options, input: Self.prompt)
            let alone = try run("dora-generate", ["--model", base] + path + options, input: Self.prompt)
            let (served, expected) = (try object(asked), try object(alone))
            #expect(expected.logprobs.count == 80)
            #expect(served.tokenIDs == expected.tokenIDs && served.logprobs == expected.logprobs)
        }
    }

    private func object(_ run: Run) throws -> JSONObject {
        try #require(try JSONValue(parsing: Array(run.output.utf8)).object, "\(run.errors)")
    }

    /// Whether there is a netcat that knows `-N`.
    private static let hasNetcat: Bool = {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "nc -h 2>&1 | grep -q -e -46C"]
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    /// Whatever the paths are made of.
    @Test(.enabled(if: hasNetcat, "no OpenBSD netcat"), arguments: [false, true])
    func theLineToTryWorksAsItIsPrinted(hasToken: Bool) throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let token = folder.appending(path: "the token's file")
        try Data("open sesame\n".utf8).write(to: token)
        let (server, announcement) = try serve(
            [
                "--adapter", Self.repository + "/models/adapters/sentiment",
                "--listen", "unix:" + folder.appending(path: "it's here").path,
            ] + (hasToken ? ["--token-file", token.path] : []))
        defer { server.terminate() }
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", try #require(announcement.last)]
        let output = Pipe()
        shell.standardOutput = output
        try shell.run()
        let lines = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            .split(separator: "\n")
        #expect(lines.last == "positive" && lines.count == (hasToken ? 2 : 1))
    }

    @Test(
        arguments: [
            (["--adapter", "/no/such/adapter"], 66), (["--max-queue", "x"], 64), (["--bogus"], 64),
            (["--listen", "tcp:0.0.0.0:0"], 69), (["--listen", "tcp:no host:1"], 69),
            (["--listen", "unix:/tmp/" + String(repeating: "a", count: 200)], 69),
            (["--model", "/no/such/model"], 66),
            (["--config", "/no/file"], 66),
        ] as [([String], Int32)])
    func aServerThatCannotStartSaysWhy(arguments: [String], status: Int32) throws {
        let found = try run("dora-serve", arguments)
        #expect(found.status == status)
        #expect(!found.errors.isEmpty && !found.errors.contains("Fatal"))
    }

    @Test func aServerThatCannotListenEverywhereLeavesNoSocket() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "s").path
        #expect(
            try run("dora-serve", ["--listen", "unix:" + path, "--listen", "tcp:0.0.0.0:0"]).status == 69)
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
