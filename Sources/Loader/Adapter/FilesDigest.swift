import Crypto
import Dispatch
import Synchronization

/// SHA-256 of the bytes of files, in their order, computed on another thread while they are made sense of: for a large
/// adapter that takes as long as all the rest of reading it.
final class FilesDigest: Sendable {
    private let files: [SafetensorsFile]
    private let result = Mutex<SHA256Digest?>(nil)
    private let isDone = DispatchGroup()

    init(of files: [SafetensorsFile]) {
        self.files = files
        DispatchQueue.global().async(group: isDone) { [self] in
            let digest = compute()
            result.withLock { $0 = digest }
        }
    }

    /// The digest, which is waited for.
    var value: SHA256Digest {
        isDone.wait()
        return result.withLock { $0 } ?? compute()
    }

    private func compute() -> SHA256Digest {
        var hash = SHA256()
        for file in files { file.withBytes { hash.update(bufferPointer: $0) } }
        return hash.finalize()
    }
}
