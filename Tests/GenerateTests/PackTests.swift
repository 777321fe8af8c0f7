import FoundationEssentials
import Testing

/// `dora-pack` from the outside, and its file in the other programs.
@Suite struct PackTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
    private var file: String { folder.appending(path: "base.dora").path }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func removeFolder() { try? FileManager.default.removeItem(at: folder) }

    @Test func allProgramsAreOfOneRelease() throws {
        defer { removeFolder() }
        let versions = try ["dora-export", "dora-generate", "dora-serve", "dora-pack"].map {
            try Command(program: $0, "--version").output
        }
        let lines = versions[0].split(separator: "\n")
        #expect(Set(versions).count == 1 && lines.count == 3)
        #expect(lines[0].wholeMatch(of: /dora \d+\.\d+\.\d+/) != nil)
        // What computes here, and why that.
        #expect(lines[1].hasPrefix("kernels: ") && lines[1].contains("portable"))
        #expect(lines[2].hasPrefix("CPU features: "))
    }

    @Test func aPackedModelAnswersAsItsFolder() throws {
        defer { removeFolder() }
        let packed = try Command(program: "dora-pack", Paths.base, "-o", file)
        #expect(packed.status == 0 && packed.output.isEmpty && packed.errors.isEmpty)
        let input = Array("Input: the board is ordered to pay damages by a jury\nAnswer: ".utf8)
        for adapter in [[], ["--adapter", Paths.sentiment], ["--adapter", Paths.topic]] {
            for mode in [["--score"], ["--max-tokens", "5", "--ignore-eos"]] {
                let plain = try Command(arguments: ["--model", Paths.base] + adapter + mode, input: input)
                let mapped = try Command(
                    arguments: adapter + mode, input: input, environment: ["DORA_MODEL": file])
                #expect(plain.status == 0 && !plain.output.isEmpty)
                #expect(plain.output == mapped.output)
                #expect(mapped.errors.isEmpty)
            }
        }
        let ids = try Command("--model", file, "--tokenize", "--prompt", "news")
        #expect(ids.output == (try Command("--tokenize", "--prompt", "news")).output)
    }

    @Test func verifyingSaysWhetherTheFileIsWhole() throws {
        defer { removeFolder() }
        #expect(try Command(program: "dora-pack", Paths.withoutTokenizer, "--output", file).status == 0)
        let sound = try Command(program: "dora-pack", "--verify", file)
        #expect(sound.status == 0 && sound.output.contains("as they were packed"))
        var bytes = try Data(contentsOf: URL(filePath: file))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(filePath: file))
        let damaged = try Command(program: "dora-pack", "--verify", file)
        #expect(damaged.status == 65 && damaged.output.isEmpty)
        #expect(damaged.errors.contains("checksum"))
    }

    @Test func eachFailureHasItsExitStatus() throws {
        defer { removeFolder() }
        #expect(try Command(program: "dora-pack", Paths.base).status == 64)
        #expect(try Command(program: "dora-pack", "--verify", file, Paths.base).status == 64)
        #expect(try Command(program: "dora-pack", "/nowhere", "-o", file).status == 66)
        #expect(try Command(program: "dora-pack", "--verify", "/nowhere").status == 66)
        let plain = Paths.withoutTokenizer + "/model.safetensors"
        #expect(try Command(program: "dora-pack", plain, "-o", file).status == 65)
        #expect(try Command(program: "dora-pack", Paths.base, "--quantize", "nf4", "-o", file).status == 65)
        let kept = try Command(program: "dora-pack", Paths.base, "-o", Paths.base + "/config.json")
        #expect(kept.status == 73 && kept.errors.contains("config.json"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
}
