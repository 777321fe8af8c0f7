package import DoraRuntime
package import DoraText

/// What a client of OpenAI's API is told instead of an answer: the body's fields, its status, and what its headers say.
package struct OpenAIError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Status: Int, Sendable {
        case invalidRequest = 400
        case authentication = 401
        case permission = 403
        case notFound = 404
        case methodNotAllowed = 405
        case timeout = 408
        case conflict = 409
        case tooLarge = 413
        case mediaType = 415
        case expectation = 417
        case rateLimit = 429
        case headersTooLarge = 431
        /// The client itself ended the request; nginx's number.
        case cancelled = 499
        case server = 500
        case unavailable = 503

        /// The body's `type`.
        var type: String {
            switch self {
            case .invalidRequest, .methodNotAllowed, .timeout, .tooLarge, .mediaType, .expectation,
                .headersTooLarge:
                "invalid_request_error"
            case .authentication: "authentication_error"
            case .permission: "permission_error"
            case .notFound: "not_found_error"
            case .conflict: "conflict_error"
            case .rateLimit: "rate_limit_error"
            case .cancelled: "cancelled_error"
            case .server: "server_error"
            case .unavailable: "unavailable_error"
            }
        }
    }

    package let status: Status
    package let code: String
    package var message: String
    /// The field that is at fault, as `messages[2].content[1]`.
    package var param: String?
    /// Header `x-should-retry: false`: clients would try again for this status, and fail again.
    package var forbidsRetry = false
    /// Header `Retry-After`, in seconds.
    package var retryAfter: Int?
    /// Header `Connection: close`.
    package var closes = false

    package init(_ status: Status, _ code: String, _ message: String, param: String? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.param = param
    }

    package var description: String { "\(status.rawValue) \(code): \(message)" }

    /// `{"error":{…}}`
    package func write(to line: inout JSONLine) {
        line.object { line in
            line.key("error")
            line.object { line in
                line.key("message")
                line.value(message)
                line.key("type")
                line.value(status.type)
                line.key("param")
                line.value(param)
                line.key("code")
                line.value(code)
            }
        }
    }

    package var body: [UInt8] {
        var line = JSONLine()
        write(to: &line)
        return line.bytes
    }
}

extension OpenAIError {
    /// A value that no request may have.
    static func invalid(_ param: String, _ problem: String) -> OpenAIError {
        OpenAIError(.invalidRequest, "invalid_value", "\"\(param)\" \(problem)", param: param)
    }

    /// What the API has and is not had here.
    static func unsupported(_ param: String, isValue: Bool, _ problem: String) -> OpenAIError {
        OpenAIError(
            .invalidRequest, isValue ? "unsupported_value" : "unsupported_parameter", problem, param: param)
    }

    package static func notJSON(_ problem: String) -> OpenAIError {
        OpenAIError(.invalidRequest, "invalid_json", "the body is no JSON object: \(problem)")
    }

    package static func unknownURL(_ path: String) -> OpenAIError {
        let hint = OpenAIEndpoint(path: "/v1" + path).map { "; did you mean \($0.rawValue)?" } ?? ""
        return OpenAIError(.notFound, "unknown_url", "there is nothing at \(path)\(hint)")
    }

    static let cancelled = OpenAIError(.cancelled, "cancelled", "the request was cancelled")
}

extension OpenAIError {
    /// What a client is told of a failure of its request.
    /// - Parameters:
    ///   - models: of which an unknown one could have been meant.
    ///   - retryAfter: seconds after which a busy server expects to be less so.
    package init(
        _ error: EngineError, for request: OpenAIRequest, models: [String] = [], retryAfter: Int = 1
    ) {
        self.init(error, retryAfter: retryAfter)
        param = error.param.map(request.field)
        if code == "model_not_found", !models.isEmpty {
            message += "; there is " + models.prefix(10).joined(separator: ", ")
            if models.count > 10 { message += " and \(models.count - 10) more" }
        }
    }

    package init(_ error: EngineError, retryAfter: Int = 1) {
        let (status, code) = Self.meaning(of: error)
        self.init(status, code, error.message, param: error.param)
        switch status {
        case .conflict: forbidsRetry = true
        case .server: forbidsRetry = error.kind == .badData
        case .rateLimit: self.retryAfter = min(max(1, retryAfter), 30)
        case .unavailable:
            self.retryAfter = 1
            closes = true
        default: break
        }
    }

    private static func meaning(of error: EngineError) -> (Status, code: String) {
        switch (error.kind, error.code) {
        case (.invalidRequest, "unauthorized"): (.authentication, "invalid_api_key")
        case (.invalidRequest, "bad_json"): (.invalidRequest, "invalid_json")
        case (.invalidRequest, "bad_adapter"), (.notFound, "unknown_adapter"),
            (.notFound, "unknown_generation"):
            (.notFound, "model_not_found")
        case (.invalidRequest, "prompt_too_long"), (.invalidRequest, "too_long"):
            (.invalidRequest, "context_length_exceeded")
        case (.invalidRequest, "chat_template_error"): (.invalidRequest, "template_error")
        case (.invalidRequest, let code): (.invalidRequest, code)
        case (.notFound, "not_loaded"): (.notFound, "adapter_not_loaded")
        case (.notFound, let code): (.notFound, code)
        case (.conflict, let code): (.conflict, code)
        case (.busy, "draining"): (.unavailable, "draining")
        case (.busy, let code): (.rateLimit, code)
        case (.badData, let code): (.server, code)
        case (.internalError, _): (.server, "server_error")
        }
    }
}
