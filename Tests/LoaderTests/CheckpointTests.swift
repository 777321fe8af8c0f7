import DoraText
import Testing

@testable import DoraLoader

@Suite struct CheckpointTests {
    private static let index = "model.safetensors.index.json"

    private func shard(_ names: String...) -> [UInt8] {
        var writer = SafetensorsWriter()
        for (number, name) in names.enumerated() { writer.add(name, shape: [1], [Float(number)]) }
        return writer.bytes
    }

    private func folder(index: String, _ files: [String: [UInt8]]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder(files)
        try folder.write(Self.index, index)
        return folder
    }

    @Test func oneFileIsRead() throws {
        let folder = try TemporaryFolder(["model.safetensors": shard("b", "a")])
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.names == ["b", "a"] && checkpoint.folder == folder.path)
        #expect(try checkpoint["a"]?.floats() == [1])
        #expect(checkpoint["c"] == nil)
        expectRefusal(.missing, naming: [folder.path, "c"]) { _ = try checkpoint.tensor("c") }
    }

    @Test func shardsAreReadThroughTheirIndex() throws {
        let folder = try folder(
            index:
                #"{"metadata":{},"weight_map":{"c":"2.safetensors","a":"1.safetensors","b":"1.safetensors"}}"#,
            ["1.safetensors": shard("a", "b"), "2.safetensors": shard("c"), "3.safetensors": shard("x")])
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.names == ["c", "a", "b"])
        #expect(checkpoint["b"]?.file.hasSuffix("/1.safetensors") == true)
        #expect(checkpoint["x"] == nil)
    }

    @Test func aSingleFileGoesBeforeAnIndex() throws {
        let folder = try folder(index: "broken", ["model.safetensors": shard("a")])
        #expect(try Checkpoint(folder: folder.path).names == ["a"])
    }

    @Test(arguments: [
        ("", ["invalid JSON"]),
        ("[]", ["an object"]),
        ("{}", ["weight_map"]),
        (#"{"weight_map":{}}"#, ["weight_map", "no tensors"]),
        (#"{"weight_map":["a"]}"#, ["weight_map"]),
        (#"{"weight_map":{"a":1}}"#, ["weight_map.a", "a file name"]),
        (#"{"weight_map":{"a":null}}"#, ["weight_map.a"]),
        (#"{"weight_map":{"a":"../1.safetensors"}}"#, ["weight_map.a", "plain name"]),
        (#"{"weight_map":{"a":"/etc/passwd"}}"#, ["weight_map.a", "plain name"]),
        (#"{"weight_map":{"a":"1.bin"}}"#, ["weight_map.a", "plain name"]),
        (#"{"weight_map":{"a":"1.safetensors\u0000.safetensors"}}"#, ["weight_map.a", "plain name"]),
        (#"{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}"#, ["stands twice"]),
    ])
    func aBrokenIndexIsRefused(text: String, words: [String]) throws {
        let folder = try folder(index: text, ["1.safetensors": shard("a")])
        expectRefusal(.malformed, naming: [Self.index] + words) { _ = try Checkpoint(folder: folder.path) }
    }

    @Test func aListedShardMustBeThere() throws {
        let folder = try folder(index: #"{"weight_map":{"a":"1.safetensors"}}"#, [:])
        expectRefusal(.missing, naming: ["1.safetensors", "index"]) {
            _ = try Checkpoint(folder: folder.path)
        }
    }

    /// Such as the head of a tied model, which was dropped when it was saved.
    @Test func aListedTensorThatNoShardHoldsIsMissedOnlyIfNeeded() throws {
        let folder = try folder(
            index: #"{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}"#, ["1.safetensors": shard("a")]
        )
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.names == ["a"] && checkpoint["b"] == nil)
        expectRefusal(.missing, naming: ["b", "the index lists", "1.safetensors"]) {
            _ = try checkpoint.tensor("b")
        }
    }

    @Test func aTensorIsFoundInAnotherShardThanTheIndexSays() throws {
        let folder = try folder(
            index: #"{"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}}"#,
            ["1.safetensors": shard("a"), "2.safetensors": shard("c", "b")])
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.names == ["a", "b", "c"])
        #expect(try checkpoint["b"]?.floats() == [1])
    }

    @Test func aTensorThatTheIndexLeavesOutIsNoPartOfTheModel() throws {
        let folder = try folder(
            index: #"{"weight_map":{"a":"1.safetensors"}}"#, ["1.safetensors": shard("a", "b")])
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.names == ["a"] && checkpoint["b"] == nil)
        #expect(checkpoint.unlisted.map(\.tensor) == ["b"])
    }

    @Test func aTensorInTwoShardsIsRefused() throws {
        let folder = try folder(
            index: #"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#,
            ["1.safetensors": shard("a"), "2.safetensors": shard("a", "b")])
        expectRefusal(.malformed, naming: ["2.safetensors: a"]) { _ = try Checkpoint(folder: folder.path) }
    }

    @Test func pickledWeightsAreRefusedWithAdvice() throws {
        let folder = try TemporaryFolder(["pytorch_model.bin": [0x80]])
        expectRefusal(.unsupported, naming: ["pytorch_model.bin", "safe_serialization"]) {
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test func aFolderWithoutWeightsSaysWhatWasLookedFor() throws {
        let folder = try TemporaryFolder()
        expectRefusal(.missing, naming: ["model.safetensors", Self.index]) {
            _ = try Checkpoint(folder: folder.path)
        }
    }
}
