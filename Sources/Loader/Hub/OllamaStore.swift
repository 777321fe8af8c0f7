package import DoraText
import Glibc

/// The folder into which Ollama puts what it pulls. It is only read.
///
///     manifests/registry.ollama.ai/library/llama3.2/1b   JSON: the layers of a model
///     blobs/sha256-<hash>                                one layer; that of the weights is a GGUF file
///
/// Source: ollama `docs/faq.md`, `types/model/name.go`, `server/manifest.go`.
package struct OllamaStore: Equatable, Sendable {
    /// Where models are looked for, in this order.
    package let paths: [String]

    package init(_ paths: [String]) { self.paths = paths }

    /// `$OLLAMA_MODELS`; else in the user's home, and where its service keeps them.
    package init(environment: [String: String]) {
        if let path = environment["OLLAMA_MODELS"], !path.isEmpty {
            self.init([path])
        } else {
            let own = HubCache.home(environment).map { $0 + "/.ollama/models" }
            self.init([own, "/usr/share/ollama/.ollama/models"].compactMap { $0 })
        }
    }

    /// A model of the store.
    package struct Model: Equatable, Sendable {
        /// Of the GGUF file.
        package let path: String
        /// What else its manifest lists that would change answers: `template`, `params`, `adapter` ...
        package let otherLayers: [String]
    }

    /// The name in `ollama:NAME[:TAG]`; nil for any other text.
    static func name(in text: String) -> String? {
        let prefix = "ollama:"
        return text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    /// - Parameter name: as Ollama is given it, `[HOST/][NAMESPACE/]MODEL[:TAG]`.
    /// - Throws: `LoadError` with the command that fetches it.
    package func model(_ name: String) throws(LoadError) -> Model {
        guard let manifest = Self.manifest(of: name) else {
            throw LoadError(
                .malformed, file: "ollama:\(name)", "this cannot be the name of a model",
                advice: "write ollama:NAME or ollama:NAME:TAG")
        }
        for path in paths {
            let file = Folder(path).file("manifests/" + manifest)
            if access(file, F_OK) == 0 { return try read(file, in: Folder(path)) }
        }
        throw LoadError(
            .missing, file: "ollama:\(name)",
            "Ollama's store (\(paths.joined(separator: ", "))) has no such model",
            advice: "nothing is downloaded here; fetch it with: ollama pull \(name)")
    }

    /// The path of a model's manifest within the store.
    private static func manifest(of name: String) -> String? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), let last = parts.last else { return nil }
        let tagged = last.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard tagged.count <= 2 else { return nil }
        let defaults = ["registry.ollama.ai", "library"]
        let all =
            defaults.prefix(3 - parts.count) + parts.dropLast() + [
                tagged[0], tagged.count == 2 ? tagged[1] : "latest",
            ]
        let isSound = all.allSatisfy { part in
            !part.isEmpty && part.utf8.first != UInt8(ascii: ".")
                && part.unicodeScalars.allSatisfy {
                    $0.isASCII && ($0.properties.isAlphabetic || "0123456789._-:".unicodeScalars.contains($0))
                }
        }
        return isSound ? all.joined(separator: "/") : nil
    }

    private func read(_ manifest: String, in store: Folder) throws(LoadError) -> Model {
        let fields = try JSONFields(
            parsing: try MappedFile.contents(of: manifest, atMost: 1 << 20), file: manifest)
        var model: String?
        var others: [String] = []
        for (index, value) in (fields["layers"]?.array ?? []).enumerated() {
            guard let object = value.object else {
                throw fields.mismatch("layers[\(index)]", expected: "an object", value)
            }
            let layer = JSONFields(object, file: manifest, prefix: "layers[\(index)].")
            let type = try layer.string("mediaType") ?? ""
            switch type.split(separator: ".").last.map(String.init) ?? type {
            case "model" where model == nil: model = try blob(layer, in: store)
            case "license": continue
            case let kind: others.append(kind)
            }
        }
        guard let model else {
            throw LoadError(
                .unsupported, file: manifest, field: "layers",
                "none of the layers is a model in one GGUF file",
                advice: "use another model")
        }
        return Model(path: model, otherLayers: others)
    }

    private func blob(_ layer: JSONFields, in store: Folder) throws(LoadError) -> String {
        let digest = try layer.string("digest") ?? ""
        let parts = digest.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == "sha256", parts[1].count == 64,
            parts[1].utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else {
            throw LoadError(
                .malformed, file: layer.file, field: layer.path("digest"), expected: "sha256: and 64 digits",
                found: "\"\(digest.prefix(80))\"", advice: "pull the model again")
        }
        let path = store.file("blobs/sha256-" + parts[1])
        guard access(path, F_OK) == 0 else {
            throw LoadError(
                .missing, file: path, "the store lacks this layer", advice: "pull the model again")
        }
        return path
    }
}
