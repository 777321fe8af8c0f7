import ArgumentParser
import DoraServe

// Flags are handed on as text: the same checks serve the command line, the environment and the file.

struct ModelFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The base model: a folder in the Hugging Face layout, a GGUF file, a file that dora-pack wrote, org/name[@revision], or ollama:NAME[:TAG].",
            discussion: """
                An id is looked up in the Hugging Face cache, a name in Ollama's store; nothing is downloaded. Of a GGUF \
                file in parts, any part. Default: $DORA_MODEL, else the \
                base that the --adapter options name, else the demo model. An adapter that is loaded later has no say.
                """,
            valueName: "path|id"), completion: .file())
    var model: String?
    @Option(
        help: ArgumentHelp(
            "int8, nf4, nf4-double or fp4: quantize a 16- or 32-bit checkpoint.", valueName: "q"),
        completion: .list(["int8", "nf4", "nf4-double", "fp4"]))
    var quantize: String?
    @Option(
        help: ArgumentHelp("How linear layers are stored: native, f32 or q8.", valueName: "w"),
        completion: .list(["native", "f32", "q8"]))
    var weights: String?
    @Option(
        help: ArgumentHelp("How adapted matrices are stored: auto, f32, q8 or q4.", valueName: "m"),
        completion: .list(["auto", "f32", "q8", "q4"]))
    var merged: String?
    @Option(
        help: ArgumentHelp("How the output head is stored: auto, native, q8 or q4.", valueName: "h"),
        completion: .list(["auto", "native", "q8", "q4"]))
    var head: String?
    @Option(
        help: ArgumentHelp("How finely integer weights see activations: auto, 8 or 16 bits.", valueName: "a"),
        completion: .list(["auto", "8", "16"]))
    var activations: String?
    @Option(
        help: ArgumentHelp(
            "How keys and values are cached: f16, f32, or q8, which takes half the memory of f16 and is faster on long texts.",
            valueName: "k"),
        completion: .list(["f16", "f32", "q8"]))
    var kv: String?
    @Option(
        help: ArgumentHelp(
            "Tokens to guess in a step, which changes no answer: off, or at most so many. Default: 15.",
            valueName: "off|n"))
    var speculate: String?
    @Option(
        help: ArgumentHelp(
            "Chat template to use in place of the adapters' and the model's.", valueName: "file"),
        completion: .file())
    var chatTemplate: String?
    @Option(
        help: ArgumentHelp(
            "Tokenizer and chat template to use in place of the model's: a folder or file that holds them, or an id.",
            valueName: "path|id"), completion: .file())
    var tokenizer: String?
    @Option(
        help: ArgumentHelp(
            "Threads to compute with. Default: the cores this process may use.", valueName: "n"))
    var threads: String?

    var values: [ServerOption: [String]] {
        [
            .model: list(model), .quantize: list(quantize), .weights: list(weights), .merged: list(merged),
            .head: list(head), .activations: list(activations), .kv: list(kv), .speculate: list(speculate),
            .chatTemplate: list(chatTemplate), .tokenizer: list(tokenizer), .threads: list(threads),
        ]
    }
}

struct AdapterFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "An adapter to load at the start: its folder, after which it is named, a trainer's output that holds one, or "
                + "org/name[@revision].",
            discussion:
                "NAME=PATH*0.5+PATH is the sum of several LoRA adapters, each with a factor if given one.",
            valueName: "[name=]path|id"), completion: .directory)
    var adapter: [String] = []
    @Option(
        help: ArgumentHelp("Factor of what every --adapter changes. Default: 1.", valueName: "number"))
    var adapterScale: String?
    @Option(
        help: ArgumentHelp(
            "How adapters act: merged into the base's matrices, factored beside them, or auto.",
            discussion:
                """
                auto merges, unless a step would then read over 5 % more than the base's, as over 4-bit bases. factored \
                holds many adapters, and answers many of them together faster.
                """,
            valueName: "form"))
    var adapterForm: String?
    @Option(
        help: ArgumentHelp("Folder whose adapters are loaded when a request names them.", valueName: "dir"),
        completion: .directory)
    var adapterRoot: String?
    @Option(
        help: ArgumentHelp(
            "Adapter of requests that name none. Default: the only --adapter, else the base.",
            valueName: "name"))
    var defaultAdapter: String?
    @Flag(help: "Serve adapters of other bases on an AWQ model, too, whose weights are scaled otherwise.")
    var acceptOtherBase = false
    @Option(
        help: ArgumentHelp(
            "Memory for merged matrices and factors. Default: 50%.", valueName: "bytes|percent"))
    var memory: String?

    var values: [ServerOption: [String]] {
        [
            .adapter: adapter, .adapterScale: list(adapterScale), .adapterForm: list(adapterForm),
            .adapterRoot: list(adapterRoot),
            .defaultAdapter: list(defaultAdapter), .acceptOtherBase: list(acceptOtherBase),
            .memory: list(memory),
        ]
    }
}

struct ConnectionFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "unix:PATH or tcp:HOST:PORT, for the line protocol. Default: tcp:127.0.0.1:7077.",
            valueName: "address"))
    var listen: [String] = []
    @Option(
        help: ArgumentHelp(
            "Who may connect to Unix sockets, as chmod has it: 660 for the group, too. Default: 600.",
            valueName: "mode"))
    var socketMode: String?
    @Option(
        help: ArgumentHelp(
            "File with tokens, one in a line; a connection's first line, or each request over HTTP, must give one.",
            valueName: "file"), completion: .file())
    var tokenFile: String?
    @Option(
        help: ArgumentHelp(
            "File with the tokens of those who may load, unload and drain. Default: everybody who may ask.",
            valueName: "file"), completion: .file())
    var adminTokenFile: String?
    @Option(help: ArgumentHelp("Most connections. Default: 1024.", valueName: "n"))
    var maxConnections: String?
    @Option(help: ArgumentHelp("Most requests of a connection at a time. Default: 64.", valueName: "n"))
    var maxInflight: String?
    @Option(help: ArgumentHelp("Longest line, or body of a request. Default: 1048576.", valueName: "bytes"))
    var maxLine: String?
    @Option(help: ArgumentHelp("Seconds in which a line must be complete. Default: 60.", valueName: "s"))
    var readTimeout: String?
    @Option(
        help: ArgumentHelp("Seconds after which an idle connection is closed. Default: 600.", valueName: "s"))
    var idleTimeout: String?
    @Option(
        help: ArgumentHelp(
            "Seconds that a server goes on for once it has said that it will stop. Default: 0.",
            discussion: "On SIGTERM /ready says so at once, so that balancers can turn elsewhere.",
            valueName: "s"))
    var drainDelay: String?
    @Option(
        help: ArgumentHelp(
            "Seconds that running requests get to finish at the end. Default: 30.", valueName: "s"))
    var drainTimeout: String?
    @Option(
        help: ArgumentHelp(
            "trace, debug (what warnings count), info, notice, warning, error or critical. Default: info.",
            valueName: "level"),
        completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
    var logLevel: String?

    var values: [ServerOption: [String]] {
        [
            .listen: listen, .socketMode: list(socketMode), .tokenFile: list(tokenFile),
            .adminTokenFile: list(adminTokenFile),
            .maximumConnections: list(maxConnections),
            .maximumInFlight: list(maxInflight), .maximumLine: list(maxLine), .readTimeout: list(readTimeout),
            .idleTimeout: list(idleTimeout), .drainDelay: list(drainDelay),
            .drainTimeout: list(drainTimeout), .logLevel: list(logLevel),
        ]
    }
}

struct HTTPFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "unix:PATH or tcp:HOST:PORT, for OpenAI's API, the page and metrics over HTTP. Default: none.",
            valueName: "address"))
    var http: [String] = []
    @Option(
        help: ArgumentHelp(
            "What clients call the base. Default: its folder's name.", valueName: "name"))
    var servedName: String?
    @Option(
        help: ArgumentHelp(
            "Another name of this machine that browsers may ask, where no token is wanted.",
            valueName: "name"))
    var hostName: [String] = []
    @Option(
        help: ArgumentHelp(
            "scheme://host[:port] whose pages may use the server. Default: its own page alone.",
            valueName: "origin"))
    var corsOrigin: [String] = []
    @Flag(help: "Let clients load and unload adapters, as vLLM does.") var allowLoad = false
    @Flag(help: "Refuse fields that are not known, instead of naming them in x-dora-ignored.")
    var strictFields = false
    @Flag(help: "Render chat templates that requests bring.") var trustRequestTemplate = false
    @Flag(help: "Serve no page at /.") var noPage = false
    @Option(
        help: ArgumentHelp(
            "Where /metrics, /health and /ready are told to everybody, other machines too. Default: none.",
            valueName: "address"))
    var metricsListen: [String] = []
    @Option(
        help: ArgumentHelp("Metrics also by vLLM's names, or not: vllm or none.", valueName: "names"),
        completion: .list(["vllm", "none"]))
    var metricsCompat: String?

    var values: [ServerOption: [String]] {
        [
            .http: http, .servedName: list(servedName), .hostName: hostName, .corsOrigin: corsOrigin,
            .allowLoad: list(allowLoad), .strictFields: list(strictFields),
            .trustRequestTemplate: list(trustRequestTemplate), .noPage: list(noPage),
            .metricsListen: metricsListen, .metricsCompat: list(metricsCompat),
        ]
    }
}

struct LimitFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Most tokens of prompt and completion. Default: what the model was made for.", valueName: "n"))
    var context: String?
    @Option(help: ArgumentHelp("Most sequences computed together. Default: 16.", valueName: "n"))
    var maxSequences: String?
    @Option(help: ArgumentHelp("Most requests that wait. Default: 256.", valueName: "n"))
    var maxQueue: String?
    @Option(help: ArgumentHelp("Memory for keys and values. Default: 25%.", valueName: "bytes|percent"))
    var kvMemory: String?

    var values: [ServerOption: [String]] {
        [
            .context: list(context), .maximumSequences: list(maxSequences), .maximumQueue: list(maxQueue),
            .keyValueMemory: list(kvMemory),
        ]
    }
}

private func list(_ value: String?) -> [String] { value.map { [$0] } ?? [] }
private func list(_ flag: Bool) -> [String] { flag ? ["true"] : [] }
