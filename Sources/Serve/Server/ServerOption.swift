/// The options of `dora-serve`, as the command line spells them. In the environment an option is
/// `DORA_` and its name in capitals (`DORA_MAX_QUEUE`), in a configuration file its name is a key.
package enum ServerOption: String, CaseIterable, Sendable {
    case model, adapter, listen, context, memory, quantize, weights, merged, head, activations, kv, threads,
        tokenizer
    case chatTemplate = "chat-template"
    case adapterRoot = "adapter-root"
    case adapterScale = "adapter-scale"
    case adapterForm = "adapter-form"
    case defaultAdapter = "default-adapter"
    case acceptOtherBase = "accept-other-base"
    case speculate
    case maximumSequences = "max-sequences"
    case maximumQueue = "max-queue"
    case maximumConnections = "max-connections"
    case maximumInFlight = "max-inflight"
    case maximumLine = "max-line"
    case keyValueMemory = "kv-memory"
    case readTimeout = "read-timeout"
    case idleTimeout = "idle-timeout"
    case drainTimeout = "drain-timeout"
    case drainDelay = "drain-delay"
    case socketMode = "socket-mode"
    case tokenFile = "token-file"
    case adminTokenFile = "admin-token-file"
    case http
    case hostName = "host-name"
    case corsOrigin = "cors-origin"
    case servedName = "served-name"
    case allowLoad = "allow-load"
    case strictFields = "strict-fields"
    case trustRequestTemplate = "trust-request-template"
    case noPage = "no-page"
    case metricsListen = "metrics-listen"
    case metricsCompat = "metrics-compat"

    /// Whether its value is true or false.
    var isFlag: Bool {
        switch self {
        case .acceptOtherBase, .allowLoad, .strictFields, .trustRequestTemplate, .noPage: true
        default: false
        }
    }
    case logLevel = "log-level"
}

/// A value that an option cannot have.
package struct OptionProblem: Error, Equatable, CustomStringConvertible {
    package let option: String
    package let problem: String
    package var description: String { "\(option): \(problem)" }
}
