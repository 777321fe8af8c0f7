import FoundationEssentials
import Testing

/// Bases and adapters by their names: in a cache that huggingface_hub made, in a trainer's output, and from each other.
@Suite struct HubTests {
    private static let hub = Paths.path("Tests/Fixtures/hub")
    private static let base = "dora-fixtures/tiny-llama"
    private static let adapter = "dora-fixtures/tiny-dora"
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        .path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func snapshot(_ repository: String, _ revision: String = "main") throws -> String {
        let path = Self.hub + "/models--" + repository.replacing("/", with: "--")
        return "\(path)/snapshots/"
            + (try String(contentsOfFile: "\(path)/refs/\(revision)", encoding: .utf8))
    }

    private func score(_ arguments: String..., hub: String = hub) throws -> Command {
        try Command(
            arguments: arguments + ["--token-ids", "--score", "--prompt", "1 5 9 20 33 40"],
            environment: ["HF_HUB_CACHE": hub])
    }

    @Test func anIDIsAsGoodAsThePath() throws {
        let (model, adapter) = (try snapshot(Self.base), try snapshot(Self.adapter))
        let plain = try score("--model", model)
        let adapted = try score("--model", model, "--adapter", adapter)
        #expect(
            plain.status == 0 && adapted.status == 0 && plain.output != adapted.output, "\(adapted.errors)")
        #expect(adapted.errors.isEmpty, "a snapshot is called by its repository: \(adapted.errors)")
        let byID = try score("--model", Self.base, "--adapter", Self.adapter + "@main")
        #expect(byID.output == adapted.output && byID.errors.isEmpty)
        let other = try score("--model", Self.base + "@v1")
        #expect(other.status == 0 && other.output != plain.output)
    }

    @Test func theAdapterChoosesItsBase() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let given = try score("--model", Self.base, "--adapter", Self.adapter)
        let chosen = try score("--adapter", Self.adapter)
        #expect(chosen.output == given.output)
        let model = try snapshot(Self.base)
        #expect(chosen.errors.hasPrefix("model: \(model) ('\(Self.base)', the base of "), "\(chosen.errors)")
        #expect(chosen.errors.split(separator: "\n").count == 1)
        // Its base is not there.
        let lacking = try score("--adapter", try snapshot(Self.adapter), hub: folder)
        #expect(
            lacking.status == 66 && lacking.errors.contains("hf download \(Self.base)"), "\(lacking.errors)")
        // What was given is asked for nothing, and another name is a warning.
        let other = try score(
            "--model", Paths.path("Tests/Fixtures/bases/gqa-f32"), "--adapter", Self.adapter)
        #expect(other.status == 65 && !other.errors.contains("model: "))
    }

    @Test func aTrainersOutputIsTakenForTheAdapterInIt() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func save(_ step: Int) throws {
            let checkpoint = "\(folder)/checkpoint-\(step)"
            try FileManager.default.createDirectory(atPath: checkpoint, withIntermediateDirectories: true)
            for name in ["adapter_config.json", "adapter_model.safetensors"] {
                try Data(contentsOf: URL(filePath: snapshot(Self.adapter) + "/" + name))
                    .write(to: URL(filePath: checkpoint + "/" + name))
            }
        }
        try save(500)
        let one = try score("--adapter", folder)
        #expect(one.status == 0)
        #expect(one.output == (try score("--model", Self.base, "--adapter", Self.adapter)).output)
        try save(1000)
        let two = try score("--adapter", folder)
        #expect(two.status == 65 && two.errors.contains("checkpoint-500, checkpoint-1000"))
    }

    @Test func nothingIsDownloaded() throws {
        for (arguments, command) in [
            (["--model", "org/none"], "hf download org/none\n"),
            (["--model", "org/none@v2"], "hf download org/none --revision v2\n"),
            (["--adapter", "org/none"], "hf download org/none\n"),
        ] {
            let found = try Command(
                arguments: arguments + ["--prompt", "a"], environment: ["HF_HUB_CACHE": Self.hub])
            #expect(found.status == 66 && found.errors.hasSuffix(command), "\(found.errors)")
        }
        let swapped = try score("--model", Self.adapter)
        #expect(swapped.status == 65 && swapped.errors.contains("this is an adapter, not a base model"))
        let base = try score("--adapter", Self.base)
        #expect(base.status == 65 && base.errors.contains("this is a base model, not an adapter"))
    }

    @Test func anIDCanBePacked() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = folder + "/m.dora"
        let packed = try Command(
            program: "dora-pack", Self.base, "-o", file, environment: ["HF_HUB_CACHE": Self.hub])
        #expect(packed.status == 0, "\(packed.errors)")
        let adapted = try score("--model", file, "--adapter", Self.adapter)
        #expect(adapted.output == (try score("--model", Self.base, "--adapter", Self.adapter)).output)
        #expect(adapted.errors.isEmpty, "it keeps its repository's name: \(adapted.errors)")
    }

    /// The one tensor of a tied pair may be called after either.
    @Test func aTiedModelMayHoldItsHeadOnly() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tied = Paths.path("Tests/Fixtures/bases/tied-f32")
        try Data(contentsOf: URL(filePath: tied + "/config.json")).write(
            to: URL(filePath: folder + "/config.json"))
        // The header keeps its length: JSON may be padded.
        var bytes = try Data(contentsOf: URL(filePath: tied + "/model.safetensors"))
        let (old, new) = (#""model.embed_tokens.weight":"#, #""lm_head.weight":           "#)
        #expect(old.utf8.count == new.utf8.count)
        let range = try #require(bytes.firstRange(of: Array(old.utf8)))
        bytes.replaceSubrange(range, with: Array(new.utf8))
        try bytes.write(to: URL(filePath: folder + "/model.safetensors"))
        let expected = try score("--model", tied, "--quantize", "int8")
        let found = try score("--model", folder, "--quantize", "int8")
        #expect(expected.status == 0 && found.status == 0, "\(found.errors)")
        #expect(found.output == expected.output)
        let file = folder + "/m.dora"
        #expect(try Command(program: "dora-pack", folder, "--quantize", "int8", "-o", file).status == 0)
        #expect(try score("--model", file).output == expected.output)
    }
}
