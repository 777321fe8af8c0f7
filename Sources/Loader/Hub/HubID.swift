/// A model repository of the Hugging Face hub: `org/name`, or `org/name@revision` with a branch, a tag or a commit.
///
/// Source: huggingface_hub `utils/_validators.py`.
package struct HubID: Equatable, Sendable, CustomStringConvertible {
    /// `org/name`.
    package let repository: String
    package let revision: String?

    /// Nil for a text that cannot be one, such as a path with another number of parts.
    package init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        self.init(parts[0], revision: parts.count == 2 ? parts[1] : nil)
    }

    package init?(_ repository: String, revision: String?) {
        let names = repository.split(separator: "/", omittingEmptySubsequences: false)
        guard names.count == 2, names.allSatisfy(Self.isName), !repository.contains("--"),
            !repository.contains(".."), !repository.hasSuffix(".git"),
            revision.map(Self.isRevision) ?? true
        else { return nil }
        self.repository = repository
        self.revision = revision
    }

    package var description: String { repository + (revision.map { "@" + $0 } ?? "") }

    /// The last part: what an adapter of that repository is called.
    package var name: String { repository.split(separator: "/").last.map(String.init) ?? repository }

    /// What puts it into the cache.
    package var downloadCommand: String {
        "hf download \(repository)" + (revision.map { " --revision \($0)" } ?? "")
    }

    private static func isName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, let last = name.utf8.last, name.utf8.count <= 96 else {
            return false
        }
        let isEdged = [first, last].contains { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
        return !isEdged && name.utf8.allSatisfy(isPlain)
    }

    /// A revision is part of a path in the cache and of the command that fetches it.
    private static func isRevision(_ revision: String) -> Bool {
        let parts = revision.split(separator: "/", omittingEmptySubsequences: false)
        return revision.utf8.first != UInt8(ascii: "-")
            && parts.allSatisfy { part in
                !part.isEmpty && part != "." && part != ".."
                    && part.utf8.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "+") }
            }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
