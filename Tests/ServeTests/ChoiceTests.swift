import DoraLoader
import DoraText
import Foundation
import Testing

@testable import DoraRuntime
@testable import DoraServe

/// Choices over the line protocol.
@Suite struct ChoiceTests {
    private static let models = TestServer.fixtures + "/../../models"
    private static let prompt = """
        Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.
        Input: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury
        Answer:\(" ")
        """
    private static let labels = ["positive", "negative", "neutral"]

    private func server() async throws -> TestServer {
        try await TestServer(model: Self.models + "/base") { options in
            options.adapters = ["sentiment", "topic"].map { ($0, Self.models + "/adapters/" + $0) }
            options.standard = "sentiment"
        }
    }

    @Test func aClassifiersAnswerIsOneOfItsLabels() async throws {
        let server = try await server()
        let client = try await server.connect()
        let prompt = try Self.prompt.jsonLine
        // By itself, it answers with words of its own.
        #expect(
            try await client.ask(#"{"prompt":\#(prompt),"adapter":"topic"}"#)["text"]?.string == "lawsuit")
        for adapter in ["sentiment", "topic"] {
            let scores = try await client.ask(
                #"{"prompt":\#(prompt),"continuations":\#(Self.labels),"adapter":"\#(adapter)","logprobs":1}"#
            )
            for fields in ["", #","logprobs":1"#] {
                let reply = try await client.ask(
                    #"{"prompt":\#(prompt),"choices":\#(Self.labels),"adapter":"\#(adapter)"\#(fields)}"#)
                let choice = try #require(reply["choice"]?.int)
                #expect(reply["text"]?.string == Self.labels[choice])
                if adapter == "sentiment" { #expect(reply["text"]?.string == "negative") }
                let scored = try #require(scores["continuations"]?.array)
                #expect(reply.tokenIDs == scored[choice].object?.tokenIDs)
                #expect(reply["finish_reason"]?.string == "stop")
                #expect(reply["usage"]?.object?["completion_tokens"]?.int == reply.tokenIDs.count)
                #expect(reply["choices"] == (fields.isEmpty ? nil : scores["continuations"]))
                #expect(reply["logprobs"] == (fields.isEmpty ? nil : scored[choice].object?["logprobs"]))
            }
        }
        try await server.stop()
    }

    /// Whatever its tokens decode to, and in one piece.
    @Test func theTextIsTheChoiceLetterByLetter() async throws {
        let server = try await server()
        let client = try await server.connect()
        for (choices, logprobs) in [
            ([" \u{00E9}\u{0301}\n", " <|end_of_text|>x"], ""), ([" only\t"], #","logprobs":0"#),
        ] {
            try await client.send(
                #"{"id":1,"prompt":"a","choices":\#(try choices.jsonLine),"stream":true\#(logprobs)}"# + "\n")
            let (piece, last) = (try await client.object(), try await client.object())
            let text = try #require(piece["text"]?.string)
            #expect(choices.contains { Array($0.utf8) == Array(text.utf8) })
            #expect(last["text"]?.string == text && last.tokenIDs == piece.tokenIDs)
            #expect(last["done"]?.bool == true && last["choice"]?.int == choices.firstIndex(of: text))
        }
        try await server.stop()
    }

    @Test func whatCannotBeChosenIsRefused() async throws {
        let server = try await server()
        let client = try await server.connect()
        for (choices, code) in [
            (#"["b",""]"#, "empty_choice"), (#"["b","c","b"]"#, "duplicate_choice"),
            ("[[99999]]", "token_out_of_range"), ("[\([Int](repeating: 5, count: 1024))]", "prompt_too_long"),
        ] {
            let error = try await client.ask(#"{"prompt":"a","choices":\#(choices)}"#)["error"]?.object
            #expect(error?["code"]?.string == code && error?["param"]?.string == "choices", "\(code)")
        }
        let many = #"{"prompt":"a","logprobs":1000,"choices":[\#([Int](repeating: 5, count: 500))]}"#
        #expect(try await client.ask(many).errorCode == "too_many_logprobs")
        try await server.stop()
    }

    @Test func aModelWithoutATokenizerChoosesAmongIDs() async throws {
        let server = try await TestServer()
        let client = try await server.connect()
        #expect(try await client.ask(#"{"token_ids":[1],"choices":["a"]}"#).errorCode == "bad_prompt")
        for logprobs in ["", #","logprobs":0"#] {
            let line = #"{"token_ids":[1],"choices":[[3,4],[3,5]],"stream":true\#(logprobs)}"#
            try await client.send(line + "\n")
            var made: [Int] = []
            while true {
                let object = try await client.object()
                if object["done"]?.bool != true {
                    made += object.tokenIDs
                    continue
                }
                #expect(object["text"] == JSONValue.null && object.tokenIDs == made)
                #expect([[3, 4], [3, 5]].firstIndex(of: made) == object["choice"]?.int)
                break
            }
        }
        try await server.stop()
    }
}
