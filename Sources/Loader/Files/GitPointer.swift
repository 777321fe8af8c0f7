import DoraText

/// What a clone without git-lfs leaves in place of a large file: three lines of text.
///
/// Source: git-lfs `docs/spec.md`.
enum GitPointer {
    private static let opening = Array("version https://git-lfs.github.com/spec/v1\n".utf8)

    /// - Throws: `LoadError` `.malformed` when the bytes of a file are such a pointer.
    static func refuse(_ bytes: some Collection<UInt8>, file: String) throws(LoadError) {
        guard bytes.starts(with: opening) else { return }
        let lines = String(decoding: bytes.prefix(512), as: UTF8.self).split(separator: "\n")
        let size = lines.first { $0.hasPrefix("size ") }.map { ", of \($0.dropFirst(5)) bytes" } ?? ""
        throw LoadError(
            .malformed, file: file, "this is a git-lfs pointer, not the file itself\(size)",
            advice: "run 'git lfs pull' in its folder, or download the file again")
    }
}
