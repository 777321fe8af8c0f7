import ArgumentParser

/// The flags of files of requests.
struct FileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Answer a file of requests, one a line: the line protocol's, or OpenAI's batches (docs/files.md).",
            discussion:
                "- is standard input. Lines name adapters; one --adapter alone answers those that name none.",
            valueName: "file"), completion: .file())
    var jsonl: String?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "With --jsonl: a new file for the answers. Default: standard output.", valueName: "file"),
        completion: .file())
    var output: String?

    @Flag(help: "With --jsonl: go on with the answers that --output holds.")
    var resume = false

    func validate() throws {
        if jsonl == nil, output != nil || resume {
            throw ValidationError("--output and --resume need --jsonl")
        }
        if resume, output == nil { throw ValidationError("--resume needs --output, which it goes on with") }
    }
}
