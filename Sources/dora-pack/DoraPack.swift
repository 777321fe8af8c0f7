import ArgumentParser
import DoraLoader
import DoraServe
import DoraTensor
import FoundationEssentials

extension Quantization: ExpressibleByArgument {}

struct DoraPack: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-pack",
        abstract: "Write a base model as one file that dora-generate and dora-serve use where it lies.",
        usage: """
            dora-pack MODEL [--quantize Q] [--tokenizer DIR] -o FILE
            dora-pack --verify FILE
            """,
        discussion: """
            The file holds the weights in the layout that the kernels stream, the configuration and the tokenizer; \
            --model FILE takes it instead of the folder. A model starts from it at once, processes share its pages, and \
            adapters merge into the same bits.

            FILE appears when it is complete: an interrupted or failed run leaves nothing under its name. A packed file \
            of that name is replaced, and programs that use it keep the old one; any other file is left alone.

            Exit status: 0 success, 64 wrong usage, 65 bad data, 66 missing input, 70 internal error, \
            73 FILE cannot be written, 130 Ctrl-C.
            """,
        version: Version.report)

    @Argument(
        help: ArgumentHelp(
            "A base model: a folder in the Hugging Face layout, a GGUF file, org/name[@revision] in the Hugging Face cache, or ollama:NAME[:TAG].",
            valueName: "model"), completion: .file())
    var model: String?

    @Option(help: "Quantize a 16- or 32-bit checkpoint as bitsandbytes would.")
    var quantize: Quantization?

    @Option(
        help: ArgumentHelp(
            "Tokenizer and chat template to pack in place of the model's: a folder or file that holds them, or an id.",
            valueName: "path|id"), completion: .file())
    var tokenizer: String?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"), completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp("Compare every tensor of a packed file with its checksum.", valueName: "file"),
        completion: .file())
    var verify: String?

    @Option(help: "Threads to compute with. Default: the cores that this process may use.")
    var threads: Int?

    func validate() throws {
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1...1024") }
    }

    /// Not in `validate`, which is asked before the parser says which options it does not know: the value of such a one
    /// looks like a model.
    private func checkCombination() throws {
        if verify != nil {
            guard model == nil, output == nil, quantize == nil, tokenizer == nil else {
                throw ValidationError("--verify takes a packed file and nothing else")
            }
        } else if model == nil || output == nil {
            throw ValidationError("give a model and -o FILE")
        }
    }

    func run() throws {
        try checkCombination()
        ExitStatus.handleSignals()
        do {
            if let verify { try verifyFile(verify) }
            if let model, let output { try pack(model, into: output) }
        } catch let closed as Terminal.Closed where closed.isReaderGone {
            return
        } catch {
            Terminal.note("dora-pack: \(error)")
            throw ExitCode(ExitStatus(error).rawValue)
        }
    }

    private func pack(_ model: String, into output: String) throws {
        let compute = try Compute(threads: threads ?? Compute.usableCores)
        let places = ModelPlaces(environment: ProcessInfo.processInfo.environment)
        if let remark = try places.remark(onBase: model) { Terminal.note("model: \(remark)") }
        let files = try ModelFiles(try places.base(model), tokenizer: try tokenizer.map(places.tokenizer))
        let packing = try ModelPacking(files, quantization: quantize, on: compute)
        for warning in packing.warnings { Terminal.note("warning: \(warning)") }
        try packing.write(to: output, progress: Terminal.show)
    }

    private func verifyFile(_ path: String) throws {
        let file = try PackedFile(path: path)
        try file.verify(progress: Terminal.show)
        try Terminal.write("\(path): all \(file.tensorCount) tensors are as they were packed\n")
    }
}
