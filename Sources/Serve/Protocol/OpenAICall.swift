import DoraRuntime
package import DoraText

/// A request of OpenAI's API as a line of the protocol, or of a file, brings it.
package struct OpenAICall: Equatable, Sendable {
    package let url: String
    package let body: JSONObject

    package init(url: String, body: JSONObject) {
        self.url = url
        self.body = body
    }

    /// It is answered by one object, so that nothing is streamed.
    package func request(_ options: OpenAIOptions) throws(OpenAIError) -> OpenAIRequest {
        guard let endpoint = OpenAIEndpoint(path: url) else { throw .unknownURL(url) }
        var options = options
        options.allowsStreams = false
        return try OpenAIRequest(body, to: endpoint, options: options)
    }
}

/// Such a request while it is answered. Each prompt is a request to the engine; the last that is answered brings the line.
struct OpenAIExchange {
    let request: OpenAIRequest
    private let id: RequestID?
    private var gathering: OpenAIGathering

    init(_ call: OpenAICall, _ id: RequestID?, _ options: OpenAIOptions) throws(OpenAIError) {
        request = try call.request(options)
        self.id = id
        gathering = OpenAIGathering(request, stamp: .reproducible(id: id?.description ?? "0"))
    }

    func work(_ index: Int) -> EngineSession.Work {
        { [request] language, model in try request.work(index, in: language, model: model) }
    }

    mutating func take(_ event: EngineEvent, of index: Int) -> JSONLine? {
        gathering.take(event, of: index).map { OpenAILine(id: id, answer: $0).json }
    }
}

/// The one last line of such a request: the status and body that HTTP would have.
struct OpenAILine {
    let id: RequestID?
    let answer: OpenAIAnswer

    var json: JSONLine {
        var line = JSONLine()
        line.object { line in
            line.key("id")
            switch id {
            case .string(let text): line.value(text)
            case .int(let number): line.value(number)
            case nil: line.null()
            }
            line.key("done")
            line.value(true)
            line.key("result")
            line.object { line in
                line.key("status_code")
                line.value(answer.status)
                line.key("body")
                answer.write(to: &line)
            }
        }
        return line
    }
}
