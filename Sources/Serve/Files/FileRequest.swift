import DoraRuntime
import DoraText

/// A line of a file of requests, and what becomes of its answer: neither depends on time or on other lines.
struct FileRequest: Sendable, Equatable {
    /// How a file speaks.
    enum Kind: Sendable {
        /// The line protocol.
        case line
        /// OpenAI's batches: `{"custom_id", "method", "url", "body"}`.
        case batch
    }

    let kind: Kind
    /// Of its line in the file, from 1.
    let number: Int
    /// The client's own; else the line's number.
    let id: JSONValue
    /// What is to be asked, or why there is nothing to ask.
    let content: Result<JSONObject, EngineError>
    /// Bytes of its line, as far as they are kept.
    var size = 0

    /// A line that is no request.
    init(_ kind: Kind, number: Int, _ error: EngineError) {
        self.init(kind, number, .null, .failure(error))
    }

    private init(
        _ kind: Kind, _ number: Int, _ id: JSONValue, _ content: Result<JSONObject, EngineError>
    ) {
        self.kind = kind
        self.number = number
        self.id = id != .null ? id : kind == .line ? .int(number) : .string("\(number)")
        self.content = content.mapError { error in
            EngineError(error.kind, error.code, "line \(number): \(error.message)", param: error.param)
        }
    }

    init(_ object: JSONObject, number: Int) {
        switch Kind(of: object) {
        case .line: self.init(line: object, number)
        case .batch: self.init(batch: object, number)
        }
    }

    private init(line object: JSONObject, _ number: Int) {
        let id = object["id"] ?? .null
        guard id == .null || id.string != nil || id.int != nil else {
            self.init(.line, number, .null, .failure(.wrong("id", "must be a string or an integer")))
            return
        }
        let operation = object["op"] ?? .null
        guard operation == .null || operation.string == "generate" else {
            self.init(
                .line, number, id,
                .failure(.wrong("op", "is \(operation), and a file holds what is to be answered or scored")))
            return
        }
        self.init(.line, number, id, .success(object.without("id", "stream")))
    }

    private init(batch object: JSONObject, _ number: Int) {
        let id = object["custom_id"] ?? .null
        guard id == .null || id.string != nil else {
            self.init(.batch, number, .null, .failure(.wrong("custom_id", "must be a string")))
            return
        }
        let content: Result<JSONObject, EngineError>
        do throws(EngineError) {
            content = .success(try Self.operation(object))
        } catch { content = .failure(error) }
        self.init(.batch, number, id, content)
    }

    /// The line protocol's operation that answers it. What would be streamed comes in one piece.
    private static func operation(_ object: JSONObject) throws(EngineError) -> JSONObject {
        let fields = ["custom_id", "method", "url", "body"]
        if let stranger = object.members.first(where: { !fields.contains($0.key) })?.key {
            throw EngineError(
                .invalidRequest, "unknown_field", "a batch has no field \"\(stranger)\"", param: stranger)
        }
        if let method = object["method"], method != .null, method.string != "POST" {
            throw .wrong("method", "must be \"POST\"")
        }
        guard let url = object["url"]?.string else { throw .wrong("url", "must be given, as a string") }
        guard let body = object["body"]?.object else { throw .wrong("body", "must be given, as an object") }
        return JSONObject([
            ("op", .string("openai")), ("url", .string(url)),
            ("body", .object(body.without("stream", "stream_options"))),
        ])
    }
}

extension FileRequest.Kind {
    init(of object: JSONObject) {
        let isBatch = object["op"] == nil && ["custom_id", "url", "body"].contains { object[$0] != nil }
        self = isBatch ? .batch : .line
    }
}

extension EngineError {
    fileprivate static func wrong(_ field: String, _ problem: String) -> EngineError {
        EngineError(.invalidRequest, "bad_request", "\"\(field)\" \(problem)", param: field)
    }
}

/// What is asked and answered.
extension FileRequest {
    /// What is sent; `adapter` answers requests that name none: nil for whoever answers by default, empty for the base.
    func request(_ object: JSONObject, adapter: String?) -> JSONObject {
        guard let adapter else { return object }
        switch kind {
        case .line:
            if object["adapter"] != nil { return object }
            return object.with("adapter", adapter.isEmpty ? .null : .string(adapter))
        case .batch:
            guard let body = object["body"]?.object, body["model"] ?? .null == .null, !adapter.isEmpty else {
                return object
            }
            return object.with("body", .object(body.with("model", .string(adapter))))
        }
    }

    /// The line that tells of an answer: without what another run would say otherwise.
    /// - Parameter last: the last line of an answer.
    func answer(_ last: JSONObject) -> String {
        switch kind {
        case .line:
            var line = last.with("id", id).without("timing")
            if let usage = line["usage"]?.object {
                line = line.with("usage", .object(usage.without("cached_tokens").without("accepted_tokens")))
            }
            return JSONValue.object(line).text
        case .batch:
            if let result = last["result"]?.object {
                let response = JSONObject([
                    ("status_code", result["status_code"] ?? .null), ("request_id", .string("req_\(number)")),
                    ("body", result["body"] ?? .null),
                ])
                return batch(response: .object(response), error: .null)
            }
            let error = last["error"]?.object
            return batch(code: error?["code"] ?? .null, message: error?["message"] ?? .null)
        }
    }

    /// The line that tells why there is no answer.
    func answer(_ error: EngineError) -> String {
        switch kind {
        case .line:
            let problem = JSONObject([
                ("code", .string(error.code)), ("message", .string(error.message)),
                ("param", error.param.map(JSONValue.string) ?? .null), ("type", .string(error.kind.rawValue)),
            ])
            return JSONValue.object(
                JSONObject([("done", .bool(true)), ("error", .object(problem)), ("id", id)])
            ).text
        case .batch: return batch(code: .string(error.code), message: .string(error.message))
        }
    }

    private func batch(code: JSONValue, message: JSONValue) -> String {
        batch(response: .null, error: .object(JSONObject([("code", code), ("message", message)])))
    }

    private func batch(response: JSONValue, error: JSONValue) -> String {
        JSONValue.object(
            JSONObject([
                ("id", .string("batch_req_\(number)")), ("custom_id", id), ("response", response),
                ("error", error),
            ])
        ).text
    }

    /// Whether a line of answers is this request's, as far as names tell.
    func isAnswered(by line: JSONObject) -> Bool {
        switch kind {
        case .line: line["id"] == id
        case .batch: line["id"]?.string == "batch_req_\(number)" && line["custom_id"] == id
        }
    }
}
