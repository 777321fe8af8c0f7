import DoraTensor
import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// Folders of quantized checkpoints as a whole: what is left out, what is refused, which adapters they take.
@Suite struct QuantizedCheckpointTests {
    private func copy(_ base: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let path = Fixtures.folder + "/bases/" + base
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            try folder.write(name, Fixtures.bytes("\(path)/\(name)"))
        }
        return folder
    }

    private func change(_ file: String, in folder: TemporaryFolder, _ old: String, _ new: String) throws {
        let text = String(decoding: try Fixtures.bytes(folder.file(file)), as: UTF8.self)
        #expect(text.contains(old))
        try folder.write(file, text.replacingOccurrences(of: old, with: new))
    }

    private func load(_ folder: TemporaryFolder) throws -> BaseModel {
        try BaseModel(folder: folder.path, on: Compute(threads: 1))
    }

    @Test func weightsMayHaveAutoGPTQsName() throws {
        let folder = try copy("gptq-4")
        let name = folder.file("model.safetensors")
        try FileManager.default.moveItem(atPath: name, toPath: folder.file("gptq_model-4bit-32g.safetensors"))
        _ = try load(folder)
    }

    /// Said of weights in their configuration and in a file apart.
    @Test func bitsThatTheTensorsDoNotHaveAreRefused() throws {
        for (base, file) in [("gptq-4", "config.json"), ("gptq-8-asymmetric", "quantize_config.json")] {
            let folder = try copy(base)
            let (bits, other) = base == "gptq-4" ? ("4", "8") : ("8", "4")
            try change(file, in: folder, "\"bits\": \(bits)", "\"bits\": \(other)")
            expectRefusal(.mismatch, naming: ["qweight", "bits"]) { _ = try load(folder) }
        }
    }

    @Test func aConfigurationOfOtherTensorsIsRefused() throws {
        let folder = try copy("awq-gemm")
        try change("config.json", in: folder, "\"awq\"", "\"fp8\"")
        try change("config.json", in: folder, "\"bits\": 4,", "")
        try change("config.json", in: folder, "\"group_size\": 32,", "")
        try change("config.json", in: folder, "\"zero_point\": true,", "")
        try change("config.json", in: folder, "\"version\": \"gemm\",", "")
        expectRefusal(.missing, naming: ["q_proj.weight"]) { _ = try load(folder) }
    }

    @Test func quantizedCheckpointsAreNotQuantizedAgain() throws {
        for base in ["gptq-4", "awq-gemv", "compressed-8", "fp8-rows"] {
            expectRefusal(.mismatch, naming: ["--quantize int8"]) {
                _ = try BaseModel(
                    folder: Fixtures.folder + "/bases/" + base, quantization: .int8, on: Compute(threads: 1))
            }
        }
    }

    /// AWQ moves scales from inputs into what is before them: ΔW of the model itself belongs to other inputs.
    @Test func anAWQModelTakesItsOwnAdaptersOnly() throws {
        var base = try BaseModel(folder: Fixtures.folder + "/bases/awq-gemm", on: Compute(threads: 1))
        let adapter = Fixtures.folder + "/adapters/lora-quantized"
        #expect(base.isBaseRequired)
        func load(named name: String) throws -> Adapter {
            try Adapter(
                folder: adapter, fitting: base.inventory, baseName: name, isBaseRequired: base.isBaseRequired)
        }
        expectRefusal(.mismatch, naming: ["base_model_name_or_path", "gptq-4", "--accept-other-base"]) {
            _ = try load(named: "awq-gemm")
        }
        #expect(try load(named: "some/gptq-4").warnings.isEmpty)
        base.acceptsOtherBase = true
        #expect(
            try load(named: "awq-gemm").warnings.map(\.summary).contains { $0.contains("trained on gptq-4") })
        let other = try BaseModel(folder: Fixtures.folder + "/bases/gptq-4", on: Compute(threads: 1))
        #expect(!other.isBaseRequired)
    }
}
