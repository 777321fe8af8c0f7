package import DoraText

/// One conversation with a server, or with one of several: lines out, and the objects that come back.
package struct ServerClient: Sendable {
    /// Why a server gave no answer.
    package enum Problem: Error, Sendable, CustomStringConvertible {
        case unreachable(ListenAddress, String)
        case hungUp(ListenAddress)
        case refused(kind: String, code: String, message: String)
        case strange(ListenAddress)
        case differs(ListenAddress)

        package var description: String {
            switch self {
            case .unreachable(let address, let problem):
                "\(address): the server cannot be reached (\(problem))"
            case .hungUp(let address): "\(address): the server closed the connection before it had answered"
            case .refused(_, let code, let message): "the server says \(code): \(message)"
            case .strange(let address): "\(address): this is no dora server, or one of another version"
            case .differs(let address):
                "\(address): it answers otherwise than the server that was lost; its base or its adapter is another one"
            }
        }
    }

    private let addresses: [ListenAddress]
    private let token: String?

    /// - Parameters:
    ///   - addresses: of servers with the same base and adapters.
    ///   - token: for servers that want one.
    package init(_ addresses: [ListenAddress], token: String?) {
        self.addresses = addresses
        self.token = token
    }

    /// Sends one request to its adapter's server (`ServerPool`) and hands each line of its answer to `take`, the last one
    /// included; returns what `hello` said and the last line.
    /// - Throws: `Problem`, and what `take` throws.
    package func perform(
        _ request: some Encodable & Sendable, adding members: JSONObject = JSONObject(),
        take: (JSONObject) throws -> Void = { _ in }
    ) async throws -> (hello: JSONObject, last: JSONObject) {
        let line = try Self.line(request, adding: members)
        let pool = try await ServerPool(addresses, token: token, adapter: line["adapter"]?.string)
        for try await object in pool.answer(line, as: 1) {
            try Self.check(object)
            try take(object)
            if object["done"]?.bool == true { return (pool.hello, object) }
        }
        throw CancellationError()
    }

    /// Sends one operation to every server, in their order, and hands each last line to `take`.
    /// - Throws: `Problem` of the first that refuses, and what `take` throws.
    package func performEverywhere(
        _ request: some Encodable & Sendable, take: (JSONObject) throws -> Void
    ) async throws {
        for address in addresses {
            let connection = try await ServerConnection(address, token: token)
            let last = try await connection.lastLine(of: try Self.line(request), as: 1)
            try Self.check(last)
            try take(last)
        }
    }

    private static func line(
        _ request: some Encodable, adding members: JSONObject = JSONObject()
    ) throws -> JSONObject {
        let line = (try JSONValue(parsing: Array(request.jsonLine.utf8))).object ?? JSONObject()
        return JSONObject(line.members + members.members)
    }

    static func check(_ object: JSONObject) throws(Problem) {
        guard let error = object["error"]?.object else { return }
        throw .refused(
            kind: error["type"]?.string ?? "", code: error["code"]?.string ?? "error",
            message: error["message"]?.string ?? "")
    }
}

/// A `generate` line.
package struct GenerateLine: Encodable, Sendable {
    package var id = 1
    package var prompt: String?
    package var token_ids: [Int]?
    /// Members of a conversation, which no encoder would keep in their order.
    package var conversation = JSONObject()
    /// Nil for the server's default; empty for the base.
    package var adapter: String?
    package var max_tokens: Int
    package var stop: [String]
    package var stop_token_ids: [Int]
    package var stream: Bool
    package var logprobs: Int?
    package var ignore_eos: Bool
    package var no_special: Bool
    /// Nil for a free text; else what may end one is left out.
    package var choices: [Prompt]?

    package init(
        _ prompt: Prompt, adapter: String?, maximumTokens: Int, stops: [String], stopIDs: [Int],
        streams: Bool,
        logprobs: Int?, ignoresEOS: Bool, addsSpecialTokens: Bool, choices: [Prompt]? = nil
    ) {
        self.choices = choices
        switch prompt {
        case .text(let text): self.prompt = text
        case .tokenIDs(let ids): token_ids = ids
        case .chat(let conversation): self.conversation = conversation.object
        }
        self.adapter = adapter
        max_tokens = maximumTokens
        stop = stops
        stop_token_ids = stopIDs
        stream = streams
        self.logprobs = logprobs
        ignore_eos = ignoresEOS
        no_special = !addsSpecialTokens
    }

    enum CodingKeys: String, CodingKey {
        case id, prompt, token_ids, adapter, max_tokens, stop, stop_token_ids, stream, logprobs, ignore_eos,
            no_special, choices
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encodeIfPresent(prompt, forKey: .prompt)
        try container.encodeIfPresent(token_ids, forKey: .token_ids)
        if let adapter {
            if adapter.isEmpty {
                try container.encodeNil(forKey: .adapter)
            } else {
                try container.encode(adapter, forKey: .adapter)
            }
        }
        try container.encode(stream, forKey: .stream)
        try container.encodeIfPresent(logprobs, forKey: .logprobs)
        try container.encode(no_special, forKey: .no_special)
        if let choices {
            try container.encode(choices.map(PromptItem.init), forKey: .choices)
            return
        }
        try container.encode(max_tokens, forKey: .max_tokens)
        try container.encode(stop, forKey: .stop)
        if !stop_token_ids.isEmpty { try container.encode(stop_token_ids, forKey: .stop_token_ids) }
        try container.encode(ignore_eos, forKey: .ignore_eos)
    }
}

/// Any other operation.
package struct OperationLine: Encodable, Sendable {
    package var id = 1
    package let op: String
    package var name: String?
    package var path: String?
    package var replace: Bool?
    package var pin: Bool?
    package var disable: Bool?

    package init(_ operation: String) { op = operation }
}
