import DoraExport
import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import Testing

/// An export by itself answers as PEFT's base with the adapter beside it: the same greedy tokens, and log probabilities
/// within the case's tolerance (1e-4).
@Suite struct ExportedAnswerTests {
    private let compute = try? Compute(threads: 2)

    @Test func theCasesAreThere() {
        #expect(Fixtures.golden.count >= 100)
        #expect(Fixtures.families.count >= 30)
    }

    /// Every method and every format of bases.
    @Test(arguments: Fixtures.golden) func answersAreThoseOfPEFT(file: String) throws {
        let golden = try GoldenCase.load(file)
        let compute = try #require(compute)
        let model = try golden.model(on: compute)
        if golden.adapter?.contains("bias-b") == true, golden.base != "biases" {
            #expect(throws: LoadError.self) { try expectAnswers(of: golden, from: model, on: compute) }
            return
        }
        try expectAnswers(of: golden, from: model, on: compute)
    }

    @Test(arguments: Fixtures.families) func everyFamilyAnswersAsPEFTDoes(name: String) throws {
        let compute = try #require(compute)
        for golden in try GoldenCase.family(name) {
            let model = try golden.model(in: ("families", "families"), on: compute)
            try expectAnswers(of: golden, from: model, on: compute)
        }
    }

    /// - Parameter model: to be exported and read again.
    private func expectAnswers(of golden: GoldenCase, from model: MergedModel, on compute: Compute) throws {
        let folder = try TemporaryFolder()
        _ = try FolderExport(model, elementType: .f32, shardBytes: 40_000, on: compute)
            .write(to: folder.file("model"))
        try golden.expectAnswers(from: folder.file("model"), on: compute)
    }
}
