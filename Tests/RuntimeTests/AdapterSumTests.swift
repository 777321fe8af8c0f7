import DoraLoader
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

@testable import DoraRuntime

/// What a command line's adapter means, and what cannot be merged.
@Suite struct AdapterSumTests {
    /// A path that is there is one folder, whatever is in its name; written out and read again it means the same.
    @Test func aFolderMayHaveAPlusInItsName() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "dora-c++-\(UUID())")
        for name in ["a", "b", "a+b"] {
            try FileManager.default.createDirectory(
                at: root.appending(path: name), withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(at: root) }
        let (a, both) = (root.path + "/a", root.path + "/a+b")
        let half = try AdapterSum(both, scale: 0.5)
        #expect(half.parts.map(\.folder) == [both] && half.parts.map(\.scale) == [0.5])
        #expect(try AdapterSum(half.description) == half)
        let sum = try AdapterSum("\(a)*1e+3+\(both)")
        #expect(sum.parts.map(\.folder) == [a, both] && sum.parts.map(\.scale) == [1000, 1])
        let large = try AdapterSum("\(a)*2e10+\(both)")
        #expect(try AdapterSum(large.description) == large)
        for text in ["\(a)*x", "\(a)*1e30"] {
            #expect(throws: LoadError.self) { try AdapterSum(text, scale: 1e30) }
        }
    }

    /// Values that no number holds would make every answer the same.
    @Test func aMergeThatOverflowsIsRefused() throws {
        let compute = try Compute(threads: 1)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let sum = try AdapterSum(Fixtures.path("adapters/lora-plain"), scale: 3e38)
        let adapter = try sum.load(fitting: base.inventory, baseName: nil)
        #expect {
            _ = try base.adapted(by: adapter, on: compute)
        } throws: { error in
            (error as? LoadError)?.code == .malformed && "\(error)".contains("q_proj")
        }
    }
}
