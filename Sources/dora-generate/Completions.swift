import ArgumentParser
import DoraServe
import DoraText
import FoundationEssentials

extension CompletionKind {
    /// Where `dora-serve` listens: as a service, and unless it is told otherwise.
    static let addresses = CompletionKind.list(["unix:/run/dora/dora.sock", "tcp:127.0.0.1:7077"])

    /// Names of the server's adapters where `--connect` is given, else folders.
    static let adapters = CompletionKind.custom {
        (words: [String], _: Int, prefix: String) async -> [String] in
        let line = CommandLineWords(words)
        return line.value(of: "--connect") == nil ? folders(at: prefix) : await line.adapterNames()
    }

    /// What a server is asked, and of which adapter.
    static let operations = CompletionKind.custom { (words: [String], _: Int, _: String) async -> [String] in
        let line = CommandLineWords(words)
        guard line.value(of: "--connect") != nil else { return [] }
        if !words.contains("load"), !words.contains("unload") {
            return ["adapters", "stats", "ping", "drain", "load", "unload"]
        }
        return await line.adapterNames()
    }

    private static func folders(at prefix: String) -> [String] {
        let parent = prefix.lastIndex(of: "/").map { String(prefix[...$0]) } ?? ""
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: parent.isEmpty ? "." : parent)) ?? []
        return names.sorted().map { parent + $0 }.filter { path in
            var isFolder = false
            return path.hasPrefix(prefix)
                && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
                && isFolder
        }.map { $0 + "/" }
    }
}

/// A command line that is being typed, as a shell hands it on.
private struct CommandLineWords {
    private let words: [String]

    init(_ words: [String]) { self.words = words }

    /// Bash cuts words at `:` and `=`, and hands these on as words.
    func value(of option: String) -> String? {
        guard let place = words.lastIndex(where: { $0 == option || $0.hasPrefix(option + "=") }) else {
            return nil
        }
        var rest = words[(place + 1)...]
        var value = String(words[place].dropFirst(option.count + 1))
        if value.isEmpty {
            if rest.first == "=" { rest.removeFirst() }
            value = rest.popFirst() ?? ""
        }
        while let next = rest.first, next == ":" || value.hasSuffix(":"), !next.hasPrefix("--") {
            value += next
            rest.removeFirst()
        }
        return value.isEmpty ? nil : value
    }

    /// None if there is no server: a completion has nobody to complain to.
    func adapterNames() async -> [String] {
        guard let text = value(of: "--connect"), let addresses = try? ListenAddress.list(text)
        else { return [] }
        // Nil without the option, too; who wants a token then refuses.
        let token = try? RemoteOptions.token(in: value(of: "--token-file"))
        return (try? await ServerPool(addresses, token: token).adapterNames()) ?? []
    }
}
