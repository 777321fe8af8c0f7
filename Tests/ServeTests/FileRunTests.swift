import DoraRuntime
import DoraText
import Foundation
import NIOCore
import Testing

@testable import DoraServe

/// Files of requests: answers in order, and the same bytes however often a run is cut off.
struct FileRunTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func file(_ name: String, _ lines: [String]) throws -> String {
        let path = folder.appending(path: name).path
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: path))
        return path
    }

    private func content(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }

    private static func requests(_ count: Int) -> [String] {
        (0..<count).map { number in
            switch number % 5 {
            case 0:
                #"{"id": "r\#(number)", "token_ids": [1, \#(number % 7 + 2)], "max_tokens": \#(number % 9)}"#
            case 1: #"{"token_ids": [3, 4, 5], "max_tokens": 3, "stream": true, "logprobs": 1}"#
            case 2: #"{"id": "same", "token_ids": [2, 9], "continuations": [[4], [5, 6]]}"#
            case 3: number % 2 == 0 ? "no JSON" : #"{"id": 7, "op": "drain"}"#
            default: #"{"id": 7, "token_ids": [5, 6], "choices": [[4], [5, 6]], "adapter": null}"#
            }
        }
    }

    @Test("A run cut off anywhere and resumed leaves the bytes of an undisturbed one")
    func resumes() async throws {
        let server = try await TestServer()
        let answerer = LocalAnswerer(EngineSession(engine: server.state.engine, model: "test", number: 9999))
        let input = try file("in", Self.requests(60))
        let whole = folder.appending(path: "whole").path
        try await FileRun(input: input, output: whole, resumes: false).run(by: answerer, adapter: nil)
        let bytes = try content(whole)
        #expect(bytes.split(separator: 10).count == 60)
        for cut in [0, 1, bytes.count / 3, bytes.count / 2, bytes.count - 1, bytes.count] {
            let path = folder.appending(path: "cut\(cut)").path
            try Data(bytes[..<cut]).write(to: URL(filePath: path))
            let run = try FileRun(input: input, output: path, resumes: true)
            #expect(run.isFinished == (cut == bytes.count))
            try await run.run(by: answerer, adapter: nil)
            #expect(try content(path) == bytes)
        }
        try await server.stop()
    }

    @Test("A server's answers are those of this process, byte for byte")
    func connects() async throws {
        let server = try await TestServer()
        let local = LocalAnswerer(EngineSession(engine: server.state.engine, model: "test", number: 9999))
        let port = try #require(server.address.port)
        let remote = try await ServerConnection(.tcp(host: "127.0.0.1", port: port), token: nil)
        let input = try file("in", Self.requests(40))
        let paths = ["a", "b"].map { folder.appending(path: $0).path }
        try await FileRun(input: input, output: paths[0], resumes: false).run(by: local, adapter: nil)
        try await FileRun(input: input, output: paths[1], resumes: false).run(by: remote, adapter: nil)
        #expect(try content(paths[0]) == content(paths[1]))
        let lines = try content(paths[0]).split(separator: 10).map {
            try #require(try JSONValue(parsing: Array($0)).object)
        }
        #expect(
            lines[0]["id"] == .string("r0") && lines[1]["id"] == .int(2) && lines[2]["id"] == .string("same"))
        #expect(lines.allSatisfy { $0["timing"] == nil && $0["usage"]?.object?["cached_tokens"] == nil })
        #expect(lines[3].errorCode == "bad_request" && lines[3]["id"] == .int(7))
        #expect(lines[8].errorCode == "bad_json" && lines[8]["id"] == .int(9))
        #expect(lines[1]["text"] != nil && lines[1]["done"] == .bool(true))
        try await server.stop()
    }

    @Test("A server that goes away stops the run between two lines, which can be resumed")
    func loses() async throws {
        let server = try await TestServer()
        let port = try #require(server.address.port)
        let remote = try await ServerConnection(.tcp(host: "127.0.0.1", port: port), token: nil)
        let slow = #"{"token_ids": [1], "max_tokens": 120, "ignore_eos": true}"#
        let input = try file("in", Array(repeating: slow, count: 300))
        let output = folder.appending(path: "out").path
        let run = Task {
            try await FileRun(input: input, output: output, resumes: false).run(by: remote, adapter: nil)
        }
        while (try? content(output).isEmpty) ?? true { try await Task.sleep(for: .milliseconds(5)) }
        server.state.closeAll()
        let result = await run.result
        let error = #expect(throws: FileRun.Stopped.self) { try result.get() }
        #expect(ExitStatus(try #require(error)) == .unavailable)
        #expect("\(try #require(error))".contains("--resume"))
        #expect(try content(output).last == 10)
        try await server.stop()
    }

    @Test("What is there is neither overwritten nor taken for other requests' answers")
    func refuses() async throws {
        let server = try await TestServer()
        let answerer = LocalAnswerer(EngineSession(engine: server.state.engine, model: "test", number: 9999))
        let input = try file("in", Self.requests(10))
        let output = folder.appending(path: "out").path
        try await FileRun(input: input, output: output, resumes: false).run(by: answerer, adapter: nil)
        let bytes = try content(output)
        let other = try file("other", Self.requests(10).reversed())
        let few = try file("few", Array(Self.requests(10).prefix(3)))
        for (input, resumes) in [(input, false), (other, true), (few, true)] {
            #expect(throws: AnswerFile.Problem.self) {
                try FileRun(input: input, output: output, resumes: resumes)
            }
            #expect(try content(output) == bytes)
        }
        #expect(throws: Prompt.Problem.self) {
            try FileRun(input: folder.path + "/none", output: nil, resumes: false)
        }
        try await server.stop()
    }

    @Test("OpenAI's batch lines are answered in their own shape, bad ones too")
    func batches() async throws {
        let server = try await TestServer()
        let answerer = LocalAnswerer(EngineSession(engine: server.state.engine, model: "test", number: 9999))
        let input = try file(
            "in",
            [
                "no JSON",
                #"{"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"prompt": [1, 2], "max_tokens": 2, "stream": true}}"#,
                "", #"{"custom_id": "b", "url": "/v1/nothing", "body": {}}"#,
                #"{"custom_id": "c", "method": "GET", "url": "/v1/completions", "body": {}}"#,
                #"{"url": "/v1/completions", "body": {"prompt": [1], "model": "nobody"}}"#,
            ])
        let output = folder.appending(path: "out").path
        try await FileRun(input: input, output: output, resumes: false).run(by: answerer, adapter: nil)
        let lines = try content(output).split(separator: 10).map {
            try #require(try JSONValue(parsing: Array($0)).object)
        }
        #expect(lines.map { $0["id"]?.string } == [1, 2, 4, 5, 6].map { "batch_req_\($0)" })
        #expect(lines.map { $0["custom_id"]?.string } == ["1", "a", "b", "c", "6"])
        #expect(lines[0]["error"]?.object?["code"]?.string == "bad_json" && lines[0]["response"] == .null)
        let response = try #require(lines[1]["response"]?.object)
        #expect(response["status_code"]?.int == 200 && response["request_id"]?.string == "req_2")
        #expect(response["body"]?.object?["created"]?.int == 0 && lines[1]["error"] == .null)
        #expect(lines[2]["response"]?.object?["status_code"]?.int == 404)
        #expect(lines[3]["error"]?.object?["code"]?.string == "bad_request")
        #expect(lines[4]["response"]?.object?["status_code"]?.int == 404)
        try await server.stop()
    }

    @Test("Lines are cut from what a read brings, whatever it brings")
    func lines() throws {
        let path = folder.appending(path: "lines").path
        try Data("\u{FEFF}a\r\n\nlong long\n\nb".utf8).write(to: URL(filePath: path))
        let file = try LineFile(path: path, maximumLine: 5)
        var lines: [LineFile.Line] = []
        while let line = try file.next() { lines.append(line) }
        #expect(lines == [.line([97]), .line([]), .tooLong, .line([]), .line([98])])
        #expect(file.isUnfinished && file.wholeBytes == 18)
        #expect(throws: Prompt.Problem.self) { try LineFile(path: folder.path, maximumLine: 5) }
    }

    @Test("Progress says how many are done, how fast, and how long the rest takes")
    func progress() {
        let start = ContinuousClock.now
        var progress = RunProgress(skipped: 100, total: 400, start: start)
        #expect(
            progress.step(100, at: start + .seconds(10))
                == "[###############...............] 200/400 lines, 10.0/s, 0:20 left")
        #expect(progress.step(1, at: start + .seconds(10.05)) == nil)
        #expect(RunProgress.clock(3723.2) == "1:02:04")
    }
}
