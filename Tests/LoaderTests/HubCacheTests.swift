import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// What a user calls a model is found in a cache that huggingface_hub laid out (`Tests/Fixtures/make/hub.py`).
@Suite struct HubCacheTests {
    private static let hub = Fixtures.folder + "/hub"
    private static let base = "dora-fixtures/tiny-llama"
    private let places = ModelPlaces(HubCache(Self.hub))

    private static func commit(_ revision: String) throws -> String {
        String(
            decoding: try Fixtures.bytes("\(hub)/models--dora-fixtures--tiny-llama/refs/\(revision)"),
            as: UTF8.self)
    }

    private static func snapshot(_ revision: String, in hub: String = hub) throws -> String {
        "\(hub)/models--dora-fixtures--tiny-llama/snapshots/\(try commit(revision))"
    }

    /// A copy that may be damaged.
    private func copy() throws -> (scratch: TemporaryFolder, hub: String, places: ModelPlaces) {
        let scratch = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: Self.hub, toPath: scratch.file("hub"))
        return (scratch, scratch.file("hub"), ModelPlaces(HubCache(scratch.file("hub"))))
    }

    @Test func anIDMeansTheCommitOfItsBranchItsTagOrItself() throws {
        let (main, tag) = (try Self.snapshot("main"), try Self.snapshot("v1"))
        #expect(main != tag)
        #expect(try places.base(Self.base) == main)
        #expect(try places.base(Self.base + "@main") == main)
        #expect(try places.base(Self.base + "@v1") == tag)
        #expect(try places.base(Self.base + "@" + Self.commit("v1")) == tag)
        // The revisions differ, and their links lead to the blobs.
        #expect(try ModelConfiguration(folder: main).norm.epsilon == 1e-3)
        #expect(try ModelConfiguration(folder: tag).norm.epsilon == 1e-6)
        #expect(
            try places.adapter("dora-fixtures/tiny-dora").contains(
                "/models--dora-fixtures--tiny-dora/snapshots/"))
    }

    @Test func whatIsThereWinsOverTheCache() throws {
        #expect(try places.base(Self.hub) == Self.hub)
        #expect(try places.base("/nowhere/to/be/found") == "/nowhere/to/be/found")
        // Relative to the folder in which tests run.
        let relative = "Tests/Fixtures"
        try #require(FileManager.default.fileExists(atPath: relative))
        #expect(try places.base(relative) == relative)
    }

    @Test(arguments: [
        ("org/name", "hf download org/name"), ("org/name@v2", "hf download org/name --revision v2"),
        (base + "@v2", "hf download dora-fixtures/tiny-llama --revision v2"),
        (base + "@refs/pr/1", "--revision refs/pr/1"),
    ])
    func whatTheCacheLacksComesWithTheCommandThatFetchesIt(text: String, command: String) {
        expectRefusal(.missing, naming: [text, command, Self.hub]) { _ = try places.base(text) }
        expectRefusal(.missing, naming: [text, command, Self.hub]) { _ = try places.adapter(text) }
    }

    @Test func aPartOfAModelIsNotTakenForIt() throws {
        for name in ["config.json", "model.safetensors"] {
            let (scratch, hub, places) = try copy()
            try FileManager.default.removeItem(atPath: Self.snapshot("main", in: hub) + "/" + name)
            expectRefusal(.missing, naming: ["only a part", "hf download \(Self.base)"]) {
                _ = try places.base(Self.base)
            }
            #expect(throws: Never.self) { try places.base(Self.base + "@v1") }
            withExtendedLifetime(scratch) {}
        }
        let (scratch, hub, places) = try copy()
        let blobs = hub + "/models--dora-fixtures--tiny-llama/blobs"
        for name in try FileManager.default.contentsOfDirectory(atPath: blobs) {
            try FileManager.default.removeItem(atPath: "\(blobs)/\(name)")
        }
        expectRefusal(.missing, naming: ["leads nowhere", "hf download \(Self.base)"]) {
            _ = try places.base(Self.base)
        }
        withExtendedLifetime(scratch) {}
    }

    @Test func everyShardOfAnIndexMustBeThere() throws {
        let (scratch, hub, places) = try copy()
        let folder = try Self.snapshot("main", in: hub)
        try FileManager.default.moveItem(
            atPath: folder + "/model.safetensors", toPath: folder + "/1.safetensors")
        let index = #"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#
        try Data(index.utf8).write(to: URL(fileURLWithPath: folder + "/model.safetensors.index.json"))
        expectRefusal(.missing, naming: ["only a part"]) { _ = try places.base(Self.base) }
        try Data().write(to: URL(fileURLWithPath: folder + "/2.safetensors"))
        #expect(try places.base(Self.base) == folder)
        withExtendedLifetime(scratch) {}
    }

    @Test func linksThatLeadOutOfTheCacheAreRefused() throws {
        let manager = FileManager.default
        // A file, one in a subfolder, the snapshot, the repository.
        let (scratch, hub, places) = try copy()
        let secret = scratch.file("secret")
        try scratch.write("secret", "{}")
        let folder = try Self.snapshot("main", in: hub)
        for name in ["tokenizer.json", "nested/config.json"] {
            let link = folder + "/" + name
            try manager.createDirectory(
                atPath: (link as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try manager.createSymbolicLink(atPath: link, withDestinationPath: secret)
            expectRefusal(.unsupported, naming: [name, "leads out"]) { _ = try places.base(Self.base) }
            expectRefusal(.unsupported, naming: [name, "leads out"]) { _ = try places.adapter(Self.base) }
            try manager.removeItem(atPath: link)
        }
        #expect(try places.base(Self.base) == folder)
        for path in [folder, hub + "/models--dora-fixtures--tiny-llama"] {
            try manager.moveItem(atPath: path, toPath: scratch.file("moved"))
            try manager.createSymbolicLink(atPath: path, withDestinationPath: scratch.file("moved"))
            expectRefusal(.unsupported, naming: ["leads out"]) { _ = try places.base(Self.base) }
            try manager.removeItem(atPath: path)
            try manager.moveItem(atPath: scratch.file("moved"), toPath: path)
        }
        // The cache itself may lie behind one.
        try manager.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: hub)
        #expect(throws: Never.self) { try ModelPlaces(HubCache(scratch.file("link"))).base(Self.base) }
    }

    @Test func aReferenceThatIsNoCommitIsRefused() throws {
        let (scratch, hub, places) = try copy()
        for text in ["", "../../x", "main\u{0}"] {
            try Data(text.utf8).write(
                to: URL(fileURLWithPath: hub + "/models--dora-fixtures--tiny-llama/refs/main"))
            expectRefusal(.malformed, naming: ["refs/main", "hf download"]) { _ = try places.base(Self.base) }
        }
        withExtendedLifetime(scratch) {}
    }

    @Test func aSnapshotIsCalledByItsRepository() throws {
        #expect(try ModelFiles(places.base(Self.base)).baseName == Self.base)
        #expect(try ModelFiles(Self.hub).baseName == Self.hub)
        let repository = Self.hub + "/models--dora-fixtures--tiny-llama"
        expectRefusal(.unsupported, naming: ["repository of the Hugging Face cache", Self.base]) {
            _ = try ModelConfiguration(folder: repository)
        }
    }

    /// As `huggingface_hub.constants` does.
    @Test(arguments: [
        (["HOME": "/h"], "/h/.cache/huggingface/hub"),
        (["HOME": "/h", "XDG_CACHE_HOME": "/x"], "/x/huggingface/hub"),
        (["HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "~/f"], "/h/f/hub"),
        (["HF_HOME": "$ROOT/f-${ROOT}$", "ROOT": "/r"], "/r/f-/r$/hub"),
        (["HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/old"], "/old"),
        (["HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "/c"], "/c"),
        (["HF_HOME": "", "HOME": "/h"], "/h/.cache/huggingface/hub"),
    ])
    func theCacheIsWhereTheEnvironmentSays(environment: [String: String], path: String) {
        #expect(HubCache(environment: environment).path == path)
    }

    @Test(arguments: [
        "a/b", "meta-llama/Llama-3.1-8B", "a/b.c_d-e", "_a/b", "a/b@v1.0+cpu", "a/b@refs/pr/3",
        "a/b@feature/x",
    ])
    func ids(text: String) throws {
        let id = try #require(HubID(text))
        #expect(
            id.description == text && id.name == id.repository.split(separator: "/").last.map(String.init))
    }

    @Test(arguments: [
        "a", "a/b/c", "/a/b", "a/b/", "./b", "../b", "a/..", "a/.b", "a--b/c", "a/b.git", "a/b c", "a/b;c",
        "a/b@", "a/b@..",
        "a/b@../c", "a/b@$(x)", "a/b@-x", "a/b@x y", "é/b", "~/b", "",
    ])
    func pathsAndOtherTextsAreNone(text: String) {
        #expect(HubID(text) == nil)
    }
}
