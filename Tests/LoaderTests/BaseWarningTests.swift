import DoraTensor
import Foundation
import Testing

@testable import DoraLoader

/// A base is warned about once, and only where the advice can be followed.
@Suite struct BaseWarningTests {
    private func warnings(
        _ folder: String, quantization: Quantization? = nil, storage: StorageOptions = StorageOptions()
    ) throws -> [LoadWarning] {
        try BaseModel(
            ModelFiles(folder), quantization: quantization, storage: storage, on: Compute(threads: 1)
        ).warnings
    }

    /// Also those whose 4-bit matrices run decoded, and however the matrices are stored.
    @Test(arguments: [
        "int8", "nf4", "nf4-ragged", "nf4-double-ragged", "fp4", "source-odd-nf4", "gqa-f32", "gptq-dynamic",
        "compressed-mixed",
    ])
    func whatIsAsItSaysIsNotWarnedAbout(name: String) throws {
        let folder = Fixtures.folder + "/bases/" + name
        #expect(try warnings(folder).isEmpty)
        #expect(try warnings(folder, storage: StorageOptions(weights: .f32)).isEmpty)
    }

    @Test func floatsThatClaimToBeQuantizedAreWarnedAboutUntilTheAdviceIsFollowed() throws {
        let (dense, quantized) = (
            Fixtures.folder + "/bases/source-odd", Fixtures.folder + "/bases/source-odd-nf4"
        )
        let folder = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: dense) where name != "config.json" {
            try folder.write(name, Fixtures.bytes("\(dense)/\(name)"))
        }
        try folder.write("config.json", Fixtures.bytes("\(quantized)/config.json"))
        let found = try warnings(folder.path)
        #expect(found.count == 1 && found.first?.summary.contains("--quantize") == true)
        #expect(try warnings(folder.path, quantization: .nf4).isEmpty)
        let packing = try ModelPacking(ModelFiles(folder.path), on: Compute(threads: 1))
        #expect(packing.warnings == found)
        let packed = folder.file("packed.dora")
        try packing.write(to: packed)
        // It was said when the file was made, and --quantize is refused with it.
        #expect(try warnings(packed).isEmpty)
    }
}
