import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// `ollama:NAME[:TAG]` is the GGUF file that the store's manifest of that name lists; what else it lists is said.
@Suite struct OllamaStoreTests {
    private static let digest = String(repeating: "0123456789abcdef", count: 4)

    /// A store as Ollama lays it out.
    private func store(
        _ manifest: String = "registry.ollama.ai/library/tiny/latest", layers: String
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let file = folder.file("manifests/" + manifest)
        for path in [file.split(separator: "/").dropLast().joined(separator: "/"), folder.file("blobs")] {
            try FileManager.default.createDirectory(
                atPath: path.hasPrefix("/") ? path : "/" + path, withIntermediateDirectories: true)
        }
        try Data(#"{"schemaVersion":2,"layers":[\#(layers)]}"#.utf8).write(to: URL(fileURLWithPath: file))
        try folder.write("blobs/sha256-" + Self.digest, GGUFBuilder().bytes)
        return folder
    }

    private func layer(_ kind: String, digest: String = digest) -> String {
        #"{"mediaType":"application/vnd.ollama.image.\#(kind)","digest":"sha256:\#(digest)","size":1}"#
    }

    private func places(_ store: TemporaryFolder) -> ModelPlaces {
        ModelPlaces(environment: ["OLLAMA_MODELS": store.path, "HF_HUB_CACHE": "/nowhere"])
    }

    @Test(arguments: [
        ("tiny", "registry.ollama.ai/library/tiny/latest"), ("tiny:1b", "registry.ollama.ai/library/tiny/1b"),
        ("me/tiny:q4_K_M", "registry.ollama.ai/me/tiny/q4_K_M"), ("hf.co/me/tiny:Q8_0", "hf.co/me/tiny/Q8_0"),
    ])
    func aNameMeansTheModelOfItsManifest(name: String, manifest: String) throws {
        let store = try store(manifest, layers: [layer("model"), layer("license")].joined(separator: ","))
        let path = try places(store).base("ollama:" + name)
        #expect(path == store.file("blobs/sha256-" + Self.digest))
        #expect(try ModelConfiguration(ModelFiles(path)).hiddenSize == 32)
        #expect(try places(store).remark(onBase: "ollama:" + name) == "ollama:" + name)
    }

    @Test func otherLayersAreSaid() throws {
        let store = try store(
            layers: ["model", "template", "adapter", "params"].map { layer($0) }.joined(separator: ","))
        #expect(
            try places(store).remark(onBase: "ollama:tiny")
                == "ollama:tiny; not used: its template, adapter, params")
        #expect(try places(store).remark(onBase: "some/folder") == nil)
    }

    @Test func whatIsNotThereComesWithTheCommandThatFetchesIt() throws {
        let store = try store(layers: layer("model"))
        expectRefusal(.missing, naming: ["ollama:big:70b", store.path, "ollama pull big:70b"]) {
            _ = try places(store).base("ollama:big:70b")
        }
    }

    @Test(arguments: [
        "", "..", "../../etc/passwd", "a/../b", "a//b", "a:b:c", "a b", "/etc/passwd", "a/b/c/d",
    ])
    func whatIsNoNameLeadsNowhere(name: String) throws {
        let store = try store(layers: layer("model"))
        expectRefusal(.malformed, naming: ["ollama:\(name)"]) { _ = try places(store).base("ollama:" + name) }
    }

    @Test func brokenManifestsAreRefused() throws {
        let empty = try store(layers: layer("template"))
        expectRefusal(.unsupported, naming: ["manifests", "layers"]) {
            _ = try places(empty).base("ollama:tiny")
        }
        let strange = try store(layers: layer("model", digest: "../../../etc/passwd"))
        expectRefusal(.malformed, naming: ["layers[0].digest"]) {
            _ = try places(strange).base("ollama:tiny")
        }
        let lost = try store(layers: layer("model", digest: String(repeating: "f", count: 64)))
        expectRefusal(.missing, naming: ["blobs/sha256-ffff"]) { _ = try places(lost).base("ollama:tiny") }
    }
}
