import DoraLoader
import Glibc
import Synchronization

/// The adapters that lie under the root, looked for at most once a second while nothing comes or goes: ten thousand
/// folders cost tens of milliseconds.
package final class RootListing: Sendable {
    package struct Found: Sendable {
        package let name: String
        /// When its folder was changed last, in Unix time.
        package let changed: Int
    }

    private struct Kept {
        var found: [Found] = []
        var changed = timespec()
        var time: ContinuousClock.Instant?
    }

    private let root: AdapterRoot?
    private let kept = Mutex(Kept())

    init(_ root: AdapterRoot?) { self.root = root }

    /// Sorted by name.
    package func adapters() -> [Found] {
        guard let root else { return [] }
        return kept.withLock { kept in
            // A folder may get its files after it was made, which the root does not show.
            let changed = FileStatus.time(root.path)
            let now = ContinuousClock.now
            if let time = kept.time, now - time < .seconds(1), kept.changed.tv_sec == changed.tv_sec,
                kept.changed.tv_nsec == changed.tv_nsec
            {
                return kept.found
            }
            kept.found = root.names().map { name in
                Found(name: name, changed: FileStatus.changed(root.path + "/" + name))
            }
            kept.changed = changed
            kept.time = now
            return kept.found
        }
    }
}
