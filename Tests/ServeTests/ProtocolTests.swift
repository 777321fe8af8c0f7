import DoraRuntime
import Logging
import NIOCore
import Synchronization
import Testing

@testable import DoraLoader
@testable import DoraServe

@Suite struct PlainTextTests {
    @Test(arguments: ["", "a", "two\nlines", "tab\tand \\ and \r", "!loud", "\\n", "żółć 🦜", "!\n!"])
    func aTextComesBackFromItsLine(text: String) throws {
        let line = PlainText.escape(text)
        #expect(!line.contains("\n") && !line.hasPrefix("!"))
        #expect(try PlainText.unescape(line, allowingMark: true) == text)
    }

    @Test(arguments: [("a\\", 1), ("\\x", 0), ("ab\\n\\!", 4), ("\\!", 0)])
    func otherEscapesAreErrors(line: String, offset: Int) {
        #expect(throws: PlainText.BadEscape(offset: offset)) { try PlainText.unescape(line) }
    }
}

@Suite struct LineRequestTests {
    private func request(_ line: String) throws -> LineRequest { try LineRequest(line: Array(line.utf8)) }

    private func code(_ line: String) -> (String?, String?) {
        do {
            _ = try request(line)
            return (nil, nil)
        } catch { return ((error as? BadLine)?.error.code, (error as? BadLine)?.error.param) }
    }

    @Test func generateIsTheDefaultAndTakesAllItsFields() throws {
        let found = try request(
            #"{"id":7,"token_ids":[1,2],"adapter":"a@3","max_tokens":5,"stop":["x"],"stop_token_ids":[7,8],"stream":true,"logprobs":2,"ignore_eos":true,"no_special":true}"#
        )
        var expected = LineRequest.Generate(prompt: .tokenIDs([1, 2]))
        expected.adapter = .named("a", generation: 3)
        expected.maximumTokens = 5
        expected.stops = ["x"]
        expected.stopIDs = [7, 8]
        expected.streams = true
        expected.logprobs = 2
        expected.ignoresEOS = true
        expected.addsSpecialTokens = false
        #expect(found == LineRequest(id: .int(7), operation: .generate(expected)))
    }

    @Test func scoresAreAskedForByAFlagOrByContinuations() throws {
        var expected = LineRequest.Score(prompt: .text("a"))
        #expect(
            try request(#"{"score":true,"prompt":"a"}"#)
                == LineRequest(id: nil, operation: .score(expected)))
        expected.continuations = [.text("b"), .tokenIDs([1, 2])]
        expected.logprobs = 3
        expected.adapter = .base
        expected.addsSpecialTokens = false
        let rest = #""prompt":"a","continuations":["b",[1,2]],"logprobs":3,"adapter":null,"no_special":true"#
        for flag in ["", #""score":true,"#, #""score":null,"#] {
            #expect(
                try request(#"{"id":1,\#(flag)\#(rest)}"#)
                    == LineRequest(id: .int(1), operation: .score(expected)))
        }
        #expect(
            try request(#"{"score":false,"prompt":"a"}"#).operation == .generate(.init(prompt: .text("a"))))
    }

    @Test func choicesAreTextsOrIDs() throws {
        var expected = LineRequest.Generate(prompt: .text("a"))
        expected.choices = [.text("b"), .tokenIDs([1, 2])]
        expected.logprobs = 0
        expected.streams = true
        expected.addsSpecialTokens = false
        #expect(
            try request(
                #"{"id":1,"prompt":"a","choices":["b",[1,2]],"logprobs":0,"stream":true,"no_special":true}"#)
                == LineRequest(id: .int(1), operation: .generate(expected)))
    }

    @Test func noAdapterIsTheDefaultAndNullTheBase() throws {
        func adapter(_ line: String) throws -> AdapterChoice? {
            guard case .generate(let generate) = try request(line).operation else { return nil }
            return generate.adapter
        }
        #expect(try adapter(#"{"prompt":"a"}"#) == .standard)
        #expect(try adapter(#"{"prompt":"a","adapter":null}"#) == .base)
        #expect(try adapter(#"{"prompt":"a","adapter":"x"}"#) == .named("x", generation: nil))
    }

    @Test(
        arguments: [
            ("{", "bad_json", nil), ("[]", "bad_json", nil),
            (#"{"id":[],"prompt":"a"}"#, "bad_request", "id"),
            (#"{"id":1}"#, "bad_request", "prompt"),
            (#"{"prompt":"a","token_ids":[1]}"#, "bad_request", "prompt"),
            (#"{"prompt":3}"#, "bad_request", "prompt"),
            (#"{"token_ids":["a"]}"#, "bad_request", "token_ids"),
            (#"{"prompt":"a","max_tokens":-1}"#, "bad_request", "max_tokens"),
            (#"{"prompt":"a","max_tokens":1.5}"#, "bad_request", "max_tokens"),
            (#"{"prompt":"a","stop":"x"}"#, "bad_request", "stop"),
            (#"{"prompt":"a","stop":[""]}"#, "bad_request", "stop"),
            (#"{"prompt":"a","stop_token_ids":7}"#, "bad_request", "stop_token_ids"),
            (#"{"prompt":"a","stop_token_ids":[-1]}"#, "bad_request", "stop_token_ids"),
            (
                #"{"prompt":"a","stop":[\#(String(repeating: #""x","#, count: 64))"x"]}"#, "bad_request",
                "stop"
            ),
            (#"{"prompt":"a","max_tokens":9007199254740993.0}"#, "bad_request", "max_tokens"),
            (#"{"prompt":"a","logprobs":1001}"#, "bad_request", "logprobs"),
            (#"{"prompt":"a","adapter":5}"#, "bad_request", "adapter"),
            (#"{"prompt":"a","adapter":"../a"}"#, "bad_adapter", "adapter"),
            (#"{"prompt":"a","adapter":"a@0"}"#, "bad_adapter", "adapter"),
            (#"{"prompt":"a","adapter":"a@01"}"#, "bad_adapter", "adapter"),
            (#"{"prompt":"a","adapter":"a@+1"}"#, "bad_adapter", "adapter"),
            (#"{"prompt":"a","temperature":1}"#, "unknown_field", "temperature"),
            (#"{"op":"fly"}"#, "unknown_op", "op"), (#"{"op":"load"}"#, "bad_request", "name"),
            (#"{"op":"ping","prompt":"a"}"#, "unknown_field", "prompt"),
            (#"{"op":"cancel"}"#, "bad_request", "target"),
            (#"{"prompt":"a","prompt":"b"}"#, "bad_json", nil),
            (#"{"score":1,"prompt":"a"}"#, "bad_request", "score"),
            (#"{"score":true}"#, "bad_request", "prompt"),
            (#"{"score":false,"prompt":"a","continuations":["b"]}"#, "bad_request", "score"),
            (#"{"prompt":"a","continuations":[]}"#, "bad_request", "continuations"),
            (#"{"prompt":"a","continuations":"b"}"#, "bad_request", "continuations"),
            (#"{"prompt":"a","continuations":["b",1]}"#, "bad_request", "continuations"),
            (#"{"prompt":"a","continuations":[["b"]]}"#, "bad_request", "continuations"),
            (
                #"{"prompt":"a","continuations":[\#(String(repeating: #""x","#, count: 1024))"x"]}"#,
                "bad_request", "continuations"
            ),
            (#"{"prompt":"a","choices":[]}"#, "bad_request", "choices"),
            (#"{"prompt":"a","choices":"b"}"#, "bad_request", "choices"),
            (#"{"prompt":"a","choices":["b",1]}"#, "bad_request", "choices"),
            (
                #"{"prompt":"a","choices":[\#(String(repeating: #""x","#, count: 1024))"x"]}"#,
                "bad_request", "choices"
            ),
            (#"{"prompt":"a","choices":["b"],"stop":["x"]}"#, "unknown_field", "stop"),
            (#"{"prompt":"a","choices":["b"],"stop_token_ids":[1]}"#, "unknown_field", "stop_token_ids"),
            (#"{"prompt":"a","choices":["b"],"max_tokens":1}"#, "unknown_field", "max_tokens"),
            (#"{"prompt":"a","choices":["b"],"ignore_eos":true}"#, "unknown_field", "ignore_eos"),
            (#"{"prompt":"a","choices":["b"],"score":true}"#, "unknown_field", "choices"),
            (#"{"prompt":"a","choices":["b"],"continuations":["b"]}"#, "unknown_field", "choices"),
            (#"{"score":true,"prompt":"a","max_tokens":1}"#, "unknown_field", "max_tokens"),
            (#"{"score":true,"prompt":"a","stream":true}"#, "unknown_field", "stream"),
            (#"{"prompt":"a","continuations":["b"],"stop":["x"]}"#, "unknown_field", "stop"),
            (#"{"score":true,"prompt":"a","ignore_eos":true}"#, "unknown_field", "ignore_eos"),
            (#"{"score":true,"prompt":"a","logprobs":1001}"#, "bad_request", "logprobs"),
        ] as [(String, String, String?)])
    func aBadLineSaysWhatIsWrong(line: String, code: String, param: String?) {
        let found = self.code(line)
        #expect(found.0 == code && found.1 == param, "\(line)")
    }

    @Test func theIDOfABadRequestIsKnown() throws {
        let error = try #require(throws: BadLine.self) { try request(#"{"id":"x","op":"fly"}"#) }
        #expect(error.id == .string("x"))
    }
}

@Suite struct LineBufferTests {
    @Test func linesEndWithLineFeedsAndMayHaveReturns() {
        var buffer = LineBuffer(maximumLine: 10)
        buffer.append(.init(string: "ab\ncd\r\n\ne"))
        #expect(buffer.next() == .line(Array("ab".utf8)))
        #expect(buffer.next() == .line(Array("cd".utf8)))
        #expect(buffer.next() == .line([]))
        #expect(buffer.next() == .incomplete)
        buffer.append(.init(string: "f\n"))
        #expect(buffer.next() == .line(Array("ef".utf8)))
        #expect(buffer.isEmpty)
    }

    @Test func aLineHasALongestLength() {
        var buffer = LineBuffer(maximumLine: 4)
        buffer.append(.init(string: "abcd\nabcde"))
        #expect(buffer.next() == .line(Array("abcd".utf8)))
        #expect(buffer.next() == .tooLong)
    }
}

@Suite struct ListenAddressTests {
    @Test func addressesAreWrittenAsTheyAreRead() throws {
        for text in ["unix:/tmp/a", "tcp:127.0.0.1:7077", "tcp:localhost:0", "tcp:[::1]:80"] {
            #expect(try ListenAddress(text).description == text)
        }
    }

    @Test(arguments: ["", "unix:", "tcp:", "tcp:host", "tcp:host:99999", "tcp::1", "tcp:::1:80", "nonsense"])
    func othersAreNone(text: String) {
        #expect(throws: ListenAddress.Malformed.self) { try ListenAddress(text) }
    }
}

@Suite struct MemorySizeTests {
    @Test func unitsAndPercentagesAreRead() {
        #expect(MemorySize("4GiB") == .bytes(4 << 30))
        #expect(MemorySize("1.5kb") == .bytes(1500))
        #expect(MemorySize("1000") == .bytes(1000))
        #expect(MemorySize("25%") == .percent(25))
        for text in ["", "x", "-1", "101%", "5 apples", "1e3"] { #expect(MemorySize(text) == nil, "\(text)") }
    }
}

@Suite struct LogTests {
    /// One line at the level that is shown; what it counts, at the level of those who debug.
    @Test func aWarningIsOneLineAndItsDetailsAreForDebugging() throws {
        let warning = LoadWarning("2 things, the worst a", details: ["a: bad", "b: less bad"])
        let lines = Mutex<[String]>([])
        var logger = Logger(label: "test") { _ in LineHandler { line in lines.withLock { $0.append(line) } } }
        let notice = AdapterNotice.loaded(
            AdapterIdentity(name: "x", generation: 1), AdapterContent(digest: "0", form: .merged), bytes: 1,
            seconds: 1,
            warnings: [warning])
        logger.logLevel = .info
        logger.log(notice)
        #expect(
            lines.withLock { $0 } == ["info adapter loaded", #"warning "2 things, the worst a""#])
        lines.withLock { $0 = [] }
        logger.logLevel = .debug
        logger.log(notice)
        #expect(lines.withLock { $0 }.suffix(2) == [#"debug "a: bad""#, #"debug "b: less bad""#])
    }

    /// What a client calls its request cannot pass for a line or a field of the log.
    @Test func whatClientsSayIsQuoted() {
        #expect("a\nlevel=\"x\"\u{1B}".quoted == #""a\nlevel=\"x\"\u{1B}""#)
        #expect(String(repeating: "a", count: 1 << 20).quoted.utf8.count < 1000)
    }
}
