package import NIOCore

/// What was said of HTTP at the start.
package struct HTTPSettings: Sendable {
    package var addresses: [ListenAddress] = []
    /// Where metrics, and whether the server lives, are told without a token.
    package var metricsAddresses: [ListenAddress] = []
    package var hostNames: Set<String> = []
    package var origins: Set<String> = []
    /// What `model` calls the base.
    package var options: OpenAIOptions
    package var allowsLoading = false
    package var servesPage = true
    /// Metrics also by the names that vLLM gives them.
    package var speaksVLLM = true
    package var limits = HTTPLimits()

    /// The base goes by the last part of its path or name.
    package init(model: String) { options = OpenAIOptions(model: model) }

    /// - Throws: `OptionProblem`
    init(_ reader: OptionReader, model: String, adapters: [String]) throws {
        self.init(model: model)
        addresses = try reader.addresses(.http)
        metricsAddresses = try reader.addresses(.metricsListen)
        hostNames = Set(reader.strings(.hostName).map { $0.lowercased() })
        for origin in reader.strings(.corsOrigin) {
            guard HTTPAccess.isOrigin(origin) else {
                throw OptionProblem(
                    option: "--cors-origin",
                    problem: "'\(origin)' is no origin; write scheme://host[:port], in lower case")
            }
            origins.insert(origin)
        }
        if let name = reader.string(.servedName) { options.baseName = name }
        if adapters.contains(options.baseName), !addresses.isEmpty {
            throw OptionProblem(
                option: "--served-name",
                problem: "'\(options.baseName)' is the base and an adapter; give the base another name")
        }
        options.refusesUnknownFields = try reader.flag(.strictFields)
        options.trustsRequestTemplate = try reader.flag(.trustRequestTemplate)
        allowsLoading = try reader.flag(.allowLoad)
        servesPage = try !reader.flag(.noPage)
        speaksVLLM =
            try reader.value(.metricsCompat, "vllm or none") { ["vllm": true, "none": false][$0] } ?? true
    }
}

/// How long clients may take, and how much they may say before they say what they want.
package struct HTTPLimits: Sendable {
    package var head = TimeAmount.seconds(10)
    package var body = TimeAmount.seconds(30)
    package var idle = TimeAmount.seconds(75)
    /// For each part of a reply.
    package var write = TimeAmount.seconds(60)
    package var farewell = TimeAmount.seconds(1)
    /// Silence after which a stream says that it lives.
    package var ping = TimeAmount.seconds(15)
    package var headerBytes = 16 << 10
    package var headBytes = 64 << 10
    package var headers = 100

    package init() {}
}
