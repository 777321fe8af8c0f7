import ArgumentParser
import DoraExport
import DoraLoader
import DoraServe
import DoraTensor
import FoundationEssentials

extension Quantization: ExpressibleByArgument {}

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-export",
        abstract: "Write a base model with an adapter merged in, for programs that know no DoRA.",
        usage: """
            dora-export [--model BASE] --adapter ADAPTER -o DIR [--dtype bf16|f16|f32]
            dora-export --model BASE -o DIR
            dora-export [--model BASE] [--adapter ADAPTER] --format gguf -o FILE [--dtype bf16|f16|f32|q8_0]
            dora-export [--model BASE] --adapter ADAPTER --as-lora RANK -o DIR
            """,
        discussion: """
            DIR becomes a folder in the Hugging Face layout: weights in floats, whatever the base's are, config.json \
            without quantization, tokenizer and chat template, the adapter's own where it has them. transformers loads it \
            and gives the answers of the base with the adapter beside it.

            W' is computed in F32 from what the base's weights stand for, some rows at a time, and rounded once. Without \
            --adapter it is the base that is written.

            With --format gguf it is one file for llama.cpp, of the architectures that dora reads from such files, with the \
            tokenizer and the template in it.

            With --as-lora, DIR becomes a PEFT adapter instead: of what the adapter changes in each matrix the best LoRA of \
            that rank, for programs that put plain LoRA beside their own weights. Each matrix is printed with the share of \
            the squared change that it keeps; 1 is all of it.

            DIR or FILE appears when it is complete: an interrupted or failed run leaves nothing under its name. What is there \
            already is left alone, but for an empty folder.

            Exit status: 0 success, 64 wrong usage, 65 bad data, 66 missing input, 70 internal error, \
            73 the output cannot be written, 130 Ctrl-C.
            """,
        version: Version.report)

    @OptionGroup var input: InputOptions

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write, or the file.", valueName: "dir|file"),
        completion: .file())
    var output: String

    @Option(
        help:
            "Type of the weights: bf16, f16 or f32, and in GGUF q8_0. Default: bf16, with --as-lora f32.")
    var dtype: GGUFType?

    @Option(help: "A folder in the Hugging Face layout, or a GGUF file.")
    var format: Format = .hf

    @Option(
        help: ArgumentHelp("Write a plain LoRA of that rank in place of a model.", valueName: "rank"))
    var asLora: Int?

    @Option(
        help: ArgumentHelp("Most bytes of weights in a file, as 500MB.", valueName: "size"))
    var shardSize = ShardSize(bytes: FolderExport.defaultShardBytes)

    func run() throws {
        ExitStatus.handleSignals()
        do {
            // Known before an hour's work.
            try format == .gguf ? GGUFExport.check(output) : NewFolder.check(output)
            let compute = try Compute(threads: input.threads ?? Compute.usableCores)
            let model = try input.mergedModel(on: compute)
            for warning in model.warnings { Terminal.note("warning: \(warning)") }
            let remarks =
                if let asLora {
                    try exportLoRA(model, rank: asLora, on: compute)
                } else if format == .gguf {
                    try exportGGUF(model, on: compute)
                } else {
                    try exportFolder(model, on: compute)
                }
            for warning in remarks { Terminal.note("warning: \(warning)") }
        } catch let closed as Terminal.Closed where closed.isReaderGone {
            return
        } catch {
            Terminal.note("dora-export: \(error)")
            throw ExitCode(ExitStatus(error).rawValue)
        }
    }
}

extension ExportCommand {
    func validate() throws {
        if let asLora, !(1...4096).contains(asLora) { throw ValidationError("--as-lora must be 1...4096") }
        if asLora != nil, input.adapter == nil { throw ValidationError("--as-lora needs --adapter") }
        if asLora != nil, format == .gguf {
            throw ValidationError(
                "--as-lora writes PEFT's files; llama.cpp's convert_lora_to_gguf.py converts them")
        }
        if dtype == .q8_0, format != .gguf { throw ValidationError("--dtype q8_0 needs --format gguf") }
    }

    private func exportFolder(_ model: MergedModel, on compute: Compute) throws -> [LoadWarning] {
        let export = try FolderExport(
            model, elementType: dtype?.elementType ?? .bf16, shardBytes: shardSize.bytes, on: compute)
        return export.warnings + (try export.write(to: output, progress: Terminal.show))
    }

    private func exportGGUF(_ model: MergedModel, on compute: Compute) throws -> [LoadWarning] {
        let export = try GGUFExport(model, type: dtype ?? .bf16, on: compute)
        return export.warnings + (try export.write(to: output, progress: Terminal.show))
    }

    private func exportLoRA(
        _ model: MergedModel, rank: Int, on compute: Compute
    ) throws -> [LoadWarning] {
        let export = try LowRankExport(
            model, rank: rank, elementType: dtype?.elementType ?? .f32, on: compute)
        var (kept, total) = (0.0, 0.0)
        let remarks = try export.write(
            to: output,
            kept: { matrix in
                kept += matrix.energy * matrix.total
                total += matrix.total
                try Terminal.write("\(Self.digits(matrix.energy)) \(matrix.module)\n")
            }, progress: Terminal.show)
        try Terminal.write("\(Self.digits(total == 0 ? 1 : kept / total)) of all\n")
        return export.warnings + remarks
    }

    /// A share with four digits.
    private static func digits(_ share: Double) -> String {
        let rounded = Int((share * 10_000).rounded())
        let text = "\(rounded % 10_000)"
        return "\(rounded / 10_000)." + String(repeating: "0", count: 4 - text.count) + text
    }
}

/// What models are written as.
enum Format: String, CaseIterable, ExpressibleByArgument {
    case hf, gguf
}

extension GGUFType: ExpressibleByArgument {
    /// Nil for blocks, which only GGUF has.
    fileprivate var elementType: ElementType? {
        switch self {
        case .bf16: .bf16
        case .f16: .f16
        case .f32: .f32
        case .q8_0: nil
        }
    }
}

/// Bytes, as `5GB`.
struct ShardSize: ExpressibleByArgument {
    let bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        guard case .bytes(let bytes) = MemorySize(argument), bytes > 0 else { return nil }
        self.bytes = bytes
    }

    var defaultValueDescription: String { "\(bytes / 1_000_000_000)GB" }
}
