import FoundationEssentials
import Testing

/// `dora-generate` from the outside.
@Suite struct GenerateTests {
    private static let prompt = Array(
        """
        Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.
        Input: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury
        Answer: \n
        """.utf8)

    private struct Reply: Decodable {
        struct Logprob: Decodable {
            let id: Int
            let logprob: Double
            let top: [[Double]]
        }
        struct Timing: Decodable { let load, merge, prefill, decode: Double }
        let prompt_tokens: Int
        let token_ids: [Int]
        let text: String?
        let finish_reason: String
        let logprobs: [Logprob]?
        let usage: [String: Int]
        let timing: Timing
        let model: String
        let adapter: String?
    }

    private func reply(_ command: Command) throws -> Reply {
        try JSONDecoder().decode(Reply.self, from: Data(command.output.utf8))
    }

    @Test func theAdapterDecidesTheAnswer() throws {
        let sentiment = try Command("--adapter", Paths.sentiment, input: Self.prompt)
        let topic = try Command("--adapter", Paths.topic, input: Self.prompt)
        #expect(sentiment.status == 0 && topic.status == 0)
        #expect(sentiment.output == "negative")
        #expect(topic.output == "lawsuit")
        // What answers is said, as nobody chose it.
        #expect(
            sentiment.errors.hasPrefix("model: ") && sentiment.errors.contains("base of \(Paths.sentiment)")
                && sentiment.errors.split(separator: "\n").count == 1, "\(sentiment.errors)")
    }

    @Test func jsonSaysEverything() throws {
        let command = try Command("--adapter", Paths.topic, "--json", "--logprobs", "3", input: Self.prompt)
        let found = try reply(command)
        #expect(found.text == "lawsuit")
        #expect(found.finish_reason == "stop")
        #expect(found.token_ids.last == 1, "the EOS that ended the text is one of the ids")
        #expect(found.logprobs?.map(\.id) == found.token_ids)
        #expect(found.logprobs?.allSatisfy { $0.top.count == 3 && $0.top[0][1] == $0.logprob } == true)
        #expect(found.usage["total_tokens"] == found.prompt_tokens + found.token_ids.count)
        #expect(found.adapter == Paths.topic)
        #expect(found.timing.merge > 0 && found.timing.prefill > 0)
        #expect(command.output.split(separator: "\n").count == 1)
    }

    @Test func specialTokensAreAddedUnlessRefused() throws {
        let with = try Command("--tokenize", "--prompt", "news")
        let without = try Command("--tokenize", "--prompt", "news", "--no-special")
        #expect(with.output == "0 " + without.output)
    }

    @Test(arguments: [
        ["--stop", "<|end_of_text|>"], ["--stop-id", "1"], ["--stop-id", "5", "--stop-id", "1"],
    ])
    func whatTheUserNamesEndsTheAnswerWhereEOSDoesNot(options: [String]) throws {
        let arguments = ["--adapter", Paths.topic, "--json", "--max-tokens", "9", "--ignore-eos"]
        let free = try reply(Command(arguments: arguments, input: Self.prompt))
        let stopped = try reply(Command(arguments: arguments + options, input: Self.prompt))
        #expect(free.finish_reason == "length" && free.token_ids.count == 9)
        #expect(stopped.text == "lawsuit" && stopped.finish_reason == "stop" && stopped.token_ids.last == 1)
    }

    @Test func tokenIDsAreUsedAsTheyAre() throws {
        let ids = try Command("--tokenize", input: Self.prompt).output
        let byIDs = try Command("--adapter", Paths.topic, "--token-ids", input: Array(ids.utf8))
        #expect(byIDs.output == "lawsuit")
    }

    @Test func withoutATokenizerIDsArePrinted() throws {
        let plain = try Command(
            "--model", Paths.withoutTokenizer, "--token-ids", "--max-tokens", "4", "--ignore-eos", "--prompt",
            "1 2 3")
        #expect(plain.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.count == 4)
        let json = try Command(
            "--model", Paths.withoutTokenizer, "--token-ids", "--json", "--prompt", "1 2 3", "--max-tokens",
            "2")
        #expect(try reply(json).text == nil)
        #expect(json.output.contains("\"text\":null"))
        #expect(try Command("--model", Paths.withoutTokenizer, "--prompt", "words").status == 66)
    }

    @Test func aStopStringIsInNeitherTextNorStream() throws {
        let free = try Command("--adapter", Paths.topic, "--json", input: Self.prompt)
        let stopped = try Command("--adapter", Paths.topic, "--json", "--stop", "suit", input: Self.prompt)
        #expect(try reply(free).text == "lawsuit")
        #expect(try reply(stopped).text == "law")
        #expect(try reply(stopped).finish_reason == "stop")
        #expect(try Command("--adapter", Paths.topic, "--stop", "suit", input: Self.prompt).output == "law")
    }

    @Test func maximumOfTokensEndsWithLength() throws {
        let found = try reply(
            Command("--json", "--max-tokens", "3", "--ignore-eos", input: Self.prompt))
        #expect(found.token_ids.count == 3 && found.finish_reason == "length")
    }

    @Test func scoreGivesEveryPromptTokenAfterTheFirst() throws {
        let ids = try Command("--tokenize", input: Self.prompt).output.split(separator: " ").count
        let lines = try Command("--score", input: Self.prompt).output.split(separator: "\n")
        #expect(lines.count == ids - 1)
        #expect(lines.allSatisfy { $0.split(separator: "\t").count == 2 })
        let json = try Command("--score", "--json", input: Self.prompt).output
        #expect(json.contains("\"perplexity\":") && json.contains("\"sum\":-"))
    }

    /// A classifier reads probabilities; each is that of prompt and continuation scored as one text.
    @Test func continuationsAreScoredBehindThePrompt() throws {
        struct Scored: Decodable {
            struct Continuation: Decodable {
                let token_ids: [Int]
                let logprobs: [Reply.Logprob]
                let sum: Double
            }
            let token_ids: [Int]
            let logprobs: [Reply.Logprob]?
            let continuations: [Continuation]?
        }
        func scored(_ arguments: [String]) throws -> Scored {
            let command = try Command(
                arguments: ["--adapter", Paths.topic, "--json"] + arguments, input: Self.prompt)
            return try JSONDecoder().decode(Scored.self, from: Data(command.output.utf8))
        }
        let labels = ["lawsuit", "merger", "-x\ty"]
        let options = labels.flatMap { ["--continuation", $0] }
        let together = try scored(options)
        let found = try #require(together.continuations)
        for (label, found) in zip(labels, found) {
            let ids = try Command("--tokenize", "--no-special", "--prompt", label).output
            #expect(found.token_ids == ids.split(whereSeparator: \.isWhitespace).compactMap { Int($0) })
            let whole = (together.token_ids + found.token_ids).map(String.init).joined(separator: " ")
            let alone = try #require(try scored(["--score", "--token-ids", "--prompt", whole]).logprobs)
            #expect(
                found.logprobs.map(\.logprob)
                    == alone.suffix(found.token_ids.count).map(\.logprob))
        }
        let lines = try Command(arguments: ["--adapter", Paths.topic] + options, input: Self.prompt)
        #expect(
            lines.output == zip(found, ["lawsuit", "merger", "-x\\ty"]).map { "\($0.sum)\t\($1)\n" }.joined())
        #expect(found.map(\.sum).max() == found[0].sum)
    }

    @Test func aFactorIsPartOfTheAdapter() throws {
        let whole = try reply(Command("--adapter", Paths.topic, "--json", input: Self.prompt))
        let half = try reply(
            Command("--adapter", Paths.topic, "--adapter-scale", "0.5", "--json", input: Self.prompt))
        #expect(whole.adapter == Paths.topic && half.adapter == Paths.topic + "*0.5")
        #expect(try Command("--adapter-scale", "0.5", "--check").status == 64)
        let sum = Paths.topic + "*0.5+" + Paths.sentiment
        let refused = try Command("--adapter", sum, "--check")
        #expect(refused.status == 65 && refused.errors.contains("DoRA"))
    }

    @Test func checkShowsWhetherTheBaseIsTheAdaptersOwn() throws {
        #expect(try Command("--adapter", Paths.topic, "--check").output.contains("magnitudes 0.9"))
        let json = try Command("--adapter", Paths.topic, "--check", "--json").output
        #expect(json.contains("\"magnitude_ratio\":{") && json.contains("\"method\":\"DoRA rank 8\""))
    }

    @Test func checkNamesModulesRanksAndWhatSurvives() throws {
        let check = try Command("--adapter", Paths.topic, "--check")
        #expect(check.status == 0)
        #expect(check.output.contains("model.layers.0.self_attn.q_proj: DoRA rank 8, q8"))
        #expect(check.output.contains("% of the change kept"))
        #expect(check.output.hasSuffix("the adapter fits the base\n"))
    }

    /// Nothing at all would look like a failure.
    @Test func anEmptyAnswerOnATerminalIsExplained() throws {
        let adapter = ["--model", Paths.base, "--adapter", Paths.topic]
        // The answer is complete.
        let input = Array(Self.prompt.dropLast() + Array("lawsuit".utf8))
        let shown = try Command(arguments: adapter, input: input, onTerminal: true)
        #expect(shown.status == 0)
        #expect(shown.errors.contains("first token was the end of the text (EOS)"), "\(shown.errors)")
        #expect(shown.errors.contains("a chat model wants its template"))
        #expect(shown.errors.split(separator: "\n").count == 1)
        // Who has rendered it already needs no advice, and a pipe no explanation.
        let ids = try Command("--tokenize", input: input).output
        let rendered = try Command(
            arguments: adapter + ["--token-ids"], input: Array(ids.utf8), onTerminal: true)
        #expect(rendered.errors.contains("EOS") && !rendered.errors.contains("template"))
        let piped = try Command(arguments: adapter, input: input)
        #expect(piped.status == 0 && piped.output.isEmpty && piped.errors.isEmpty)
        // Not empty, empty for another reason, or told in JSON.
        for arguments in [["--ignore-eos", "--max-tokens", "3"], ["--max-tokens", "0"], ["--json"]] {
            let other = try Command(arguments: adapter + arguments, input: input, onTerminal: true)
            #expect(other.status == 0 && other.errors.isEmpty, "\(arguments) \(other.errors)")
        }
    }

    /// What warnings count is told apart only here.
    @Test func warningsAreOneLineAndCheckSaysWhatTheyCount() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let plainAdapter = URL(filePath: Paths.path("Tests/Fixtures/adapters/lora-plain"))
        try FileManager.default.copyItem(at: plainAdapter, to: folder)
        // A change so small that four bits lose it.
        let file = folder.appending(path: "adapter_config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacing("\"lora_alpha\": 16", with: "\"lora_alpha\": 0.1").utf8).write(to: file)
        let adapter = [
            "--model", Paths.path("Tests/Fixtures/bases/gqa-f32"), "--adapter", folder.path, "--merged", "q4",
        ]
        let plain = try Command(
            arguments: adapter + ["--token-ids", "--prompt", "1", "--max-tokens", "1"])
        #expect(plain.errors.split(separator: "\n").count == 1, "\(plain.errors)")
        #expect(plain.errors.hasPrefix("warning: ") && plain.errors.contains("use --merged q8, f32 or auto"))
        let check = try Command(arguments: adapter + ["--check"])
        #expect(check.errors == plain.errors)
        #expect(
            check.output.contains("details\n  model.layers")
                && check.output.contains(": q4 keeps "))
        let json = try Command(arguments: adapter + ["--check", "--json"])
        #expect(json.output.contains(#""details":["model.layers"#))
    }

    @Test func anAWQModelTakesOtherAdaptersOnlyIfSaid() throws {
        let arguments = [
            "--model", Paths.path("Tests/Fixtures/bases/awq-gemm"), "--adapter",
            Paths.path("Tests/Fixtures/adapters/dora-quantized"), "--token-ids", "--prompt", "1 2 3",
            "--max-tokens", "2", "--ignore-eos",
        ]
        let refused = try Command(arguments: arguments)
        #expect(refused.status == 65)
        #expect(refused.errors.contains("base_model_name_or_path"), "\(refused.errors)")
        let accepted = try Command(arguments: arguments + ["--accept-other-base"])
        #expect(accepted.status == 0 && accepted.errors.contains("trained on gptq-4"), "\(accepted.errors)")
    }

    @Test func theModelMayComeFromTheEnvironment() throws {
        let found = try Command(
            "--token-ids", "--prompt", "1", "--max-tokens", "1", "--json",
            environment: ["DORA_MODEL": Paths.withoutTokenizer])
        #expect(try reply(found).model == Paths.withoutTokenizer)
    }
}

/// Each kind of failure has its exit code and one clear line.
@Suite struct FailureTests {
    private func expect(
        _ command: Command, status: Int32, naming words: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(command.status == status, "\(command.errors)", sourceLocation: sourceLocation)
        #expect(command.output.isEmpty, sourceLocation: sourceLocation)
        for word in words {
            #expect(command.errors.contains(word), "\(command.errors)", sourceLocation: sourceLocation)
        }
    }

    @Test func wrongUsageIs64() throws {
        expect(try Command("--weights", "q3"), status: 64, naming: "q3")
        expect(try Command("--max-tokens", "-1"), status: 64, naming: "--max-tokens")
        expect(try Command("--threads", "0"), status: 64, naming: "--threads")
        expect(try Command("--score", "--check"), status: 64, naming: "--score")
        expect(try Command("--continuation", "a", "--check"), status: 64, naming: "--continuation")
        expect(try Command("--prompt", "a", "--prompt-file", "b"), status: 64, naming: "--prompt-file")
        expect(
            try Command("--prompt", "a", "--context", "99999999"), status: 64, naming: "context", "1024")
    }

    /// The value of an option that nobody knows is no operation and no model.
    @Test func anUnknownOptionIsCalledUnknown() throws {
        expect(try Command("--temperature", "0"), status: 64, naming: "Unknown option '--temperature'")
        expect(
            try Command("--connect", "unix:/none", "--top-p", "1", "stats"), status: 64,
            naming: "Unknown option '--top-p'")
        for arguments in [["--bits", "4"], ["--verify", "a", "--bits", "4"]] {
            expect(
                try Command(program: "dora-pack", arguments: arguments), status: 64,
                naming: "Unknown option '--bits'")
        }
        expect(try Command("adapters"), status: 64, naming: "'adapters' needs --connect")
        expect(try Command("--connect", "unix:/none", "fly"), status: 64, naming: "no operation 'fly'")
        expect(try Command(program: "dora-pack", "a"), status: 64, naming: "-o FILE")
    }

    @Test func missingInputIs66() throws {
        expect(try Command("--model", "/nowhere", "--prompt", "a"), status: 66, naming: "/nowhere")
        expect(try Command("--adapter", "/nowhere", "--prompt", "a"), status: 66, naming: "/nowhere")
        expect(try Command("--prompt-file", "/nowhere/prompt"), status: 66, naming: "/nowhere/prompt")
    }

    @Test func badDataIs65() throws {
        expect(try Command(input: [0x61, 0xFF, 0x62]), status: 65, naming: "byte 1", "UTF-8")
        expect(
            try Command("--prompt", "a", "--continuation", "b", "--continuation", ""), status: 65,
            naming: "continuation 2 has no tokens")
        expect(try Command("--token-ids", "--prompt", "1 x"), status: 65, naming: "'x'")
        expect(try Command("--token-ids", "--prompt", "1 5000"), status: 65, naming: "5000", "1023")
        expect(try Command("--token-ids", "--prompt", ""), status: 65, naming: "no tokens")
        expect(
            try Command("--context", "4", "--token-ids", "--prompt", "1 2 3 4 5"), status: 65,
            naming: "5 tokens", "4")
        expect(
            try Command(
                "--model", Paths.base, "--adapter", Paths.path("Tests/Fixtures/adapters/dora-qkv"),
                "--prompt", "a"),
            status: 65,
            naming: "adapter_model.safetensors", "expected", "found")
        expect(
            try Command("--model", Paths.base, "--quantize", "nf4", "--prompt", "a"), status: 65,
            naming: "--quantize")
    }

    @Test func aClosedPipeIsNoFailure() throws {
        let command = try Command(
            "--model", Paths.base, "--prompt", "The", "--ignore-eos", "--max-tokens", "50", closesOutput: true
        )
        #expect(command.status == 0)
        #expect(command.errors.isEmpty)
    }

    @Test func controlCIs130() throws {
        let command = try Command(interrupts: true)
        #expect(command.status == 130)
    }
}
