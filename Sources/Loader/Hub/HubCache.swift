package import DoraText
import Glibc

/// The folder into which `hf download` and `from_pretrained` put what they fetch. It is only read.
///
///     models--org--name/refs/main          the commit that the branch stands for
///     models--org--name/snapshots/<commit> the files, links to ../../blobs/<hash>
///
/// Source: huggingface_hub `file_download.py`, `_snapshot_download.py`.
package struct HubCache: Equatable, Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// The folder of a revision, `main` unless another is meant; all of its links lead to files of the cache.
    /// - Throws: `LoadError` `.missing` with the command that fetches it, `.unsupported` for a link that leads out of
    ///   the cache, `.malformed`.
    package func snapshot(_ id: HubID) throws(LoadError) -> String {
        let repository = Folder(Folder(path).file(Self.folderName(of: id)))
        guard repository.isThere else {
            throw Self.missing(
                id, "there is no such file or folder, nor such a model in the Hugging Face cache (\(path))")
        }
        let folder = Folder(repository.file("snapshots/" + (try commit(of: id, in: repository))))
        guard folder.isThere else {
            let kept = ((try? Folder(repository.file("snapshots")).names()) ?? []).map { $0.prefix(12) }
            throw Self.missing(
                id,
                "the Hugging Face cache (\(path)) holds this model, but not its revision \(id.revision ?? "main")"
                    + (kept.isEmpty ? "" : "; it has \(kept.joined(separator: ", "))"))
        }
        try checkLinks(in: folder, of: id)
        return folder.path
    }

    /// `org/name` if the path is that of a snapshot.
    static func repository(ofSnapshot path: String) -> String? {
        let parts = (Folder(path).realPath ?? path).split(separator: "/")
        guard parts.count >= 3, parts[parts.count - 2] == "snapshots" else { return nil }
        return repository(folderName: parts[parts.count - 3])
    }

    /// `org/name` if a repository's folder in the cache is called so.
    static func repository(folderName name: Substring) -> String? {
        guard name.hasPrefix("models--") else { return nil }
        let id = name.dropFirst("models--".count).replacing("--", with: "/")
        return HubID(String(id), revision: nil)?.repository
    }

    private static func folderName(of id: HubID) -> String {
        "models--" + id.repository.replacing("/", with: "--")
    }

    /// A branch or a tag has a file that says which commit it is; a commit is named as it is.
    private func commit(of id: HubID, in repository: Folder) throws(LoadError) -> String {
        let revision = id.revision ?? "main"
        let file = repository.file("refs/" + revision)
        guard access(file, F_OK) == 0 else { return revision }
        let bytes = try MappedFile.contents(of: file, atMost: 4096)
        let commit = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard !commit.isEmpty, commit.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else {
            throw LoadError(
                .malformed, file: file, "expected a commit's hash",
                advice: "download it again: \(id.downloadCommand)")
        }
        return commit
    }

    /// A link out of the cache would make a download read any file of this machine.
    private func checkLinks(in folder: Folder, of id: HubID, depth: Int = 0) throws(LoadError) {
        try checkStays(folder.path, of: id)
        for name in try folder.names() {
            let path = folder.file(name)
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFLNK: try checkStays(path, of: id)
            case S_IFDIR where depth < 8: try checkLinks(in: Folder(path), of: id, depth: depth + 1)
            default: continue
            }
        }
    }

    private func checkStays(_ path: String, of id: HubID) throws(LoadError) {
        guard let real = Folder(path).realPath, let root = Folder(self.path).realPath else {
            throw Self.missing(id, file: path, "this link leads nowhere: the download is incomplete")
        }
        guard real.hasPrefix(root == "/" ? root : root + "/") else {
            throw LoadError(
                .unsupported, file: path, "this link leads out of the Hugging Face cache, to \(real)",
                advice: "give that folder's own path as it is, or download it anew: \(id.downloadCommand)")
        }
    }

    static func missing(_ id: HubID, file: String? = nil, _ problem: String) -> LoadError {
        LoadError(
            .missing, file: file ?? id.description, problem,
            advice: "nothing is downloaded here; fetch it with: \(id.downloadCommand)")
    }
}
