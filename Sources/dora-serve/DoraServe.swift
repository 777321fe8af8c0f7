import ArgumentParser
import DoraServe
import FoundationEssentials

struct DoraServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-serve",
        abstract:
            "Serve a base model and its DoRA or LoRA adapters, each request with the adapter that it names.",
        usage: """
            dora-serve --adapter PATH
            dora-serve --model MODEL --adapter [NAME=]ADAPTER ... [--adapter-root DIR] [options]
            """,
        discussion: """
            One line in, one line out, with line feeds written as \\n:

              printf '%s\\n' 'Input: Profit rose\\nAnswer: ' | nc -N localhost 7077

            At its start the server prints such a command for where it listens. Lines that begin with { are JSON \
            requests, many at a time, each for the adapter that it names; docs/protocol.md describes them.

            With --http the server also speaks OpenAI's API, with an adapter's name as the model, shows a page for people, \
            and tells Prometheus how it does; docs/http.md.

            Every option can also be given as DORA_<OPTION> in the environment (DORA_MAX_QUEUE=10) or in a JSON file \
            (--config); the command line wins over the environment, and that over the file. Memory is given in bytes \
            (4GiB, 500MB) or as a percentage of what is free once the base is loaded.

            SIGTERM finishes what runs and exits with 0; a second one exits at once. Exit status: 0 success, \
            64 wrong usage, 65 bad data, 66 missing input, 69 cannot listen, 70 internal error.
            """,
        version: Version.report)

    @OptionGroup(title: "Model") var model: ModelFlags
    @OptionGroup(title: "Adapters") var adapters: AdapterFlags
    @OptionGroup(title: "Connections") var connections: ConnectionFlags
    @OptionGroup(title: "HTTP") var http: HTTPFlags
    @OptionGroup(title: "Limits") var limits: LimitFlags

    @Option(
        help: ArgumentHelp("JSON file of options.", valueName: "file"),
        completion: .file(extensions: ["json"])) var config: String?

    func run() async throws {
        ExitStatus.ignoreClosedPipes()
        do {
            let environment = ProcessInfo.processInfo.environment
            let flags = model.values.merging(adapters.values) { $1 }.merging(connections.values) { $1 }
                .merging(http.values) { $1 }.merging(limits.values) { $1 }
            let settings = try await ServerSettings(
                flags: flags, environment: environment, file: config ?? environment["DORA_CONFIG"])
            try await Serving(settings).run()
        } catch {
            Terminal.note("dora-serve: \(error)")
            throw ExitCode(ExitStatus(error).rawValue)
        }
    }
}
