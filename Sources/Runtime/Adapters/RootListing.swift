import DoraLoader
import Glibc
import Synchronization

/// The adapters that lie under the root, looked for at most once a second while nothing comes or goes: ten thousand
/// folders cost tens of milliseconds.
package final class RootListing: Sendable {
    package struct Found: Sendable, Equatable {
        package let name: String
        /// When its folder was changed last, in Unix time.
        package let changed: Int
    }

    /// What was found, and a number that changes with it.
    package struct State: Sendable {
        /// Sorted by name.
        package fileprivate(set) var found: [Found] = []
        package fileprivate(set) var revision = 0

        package func changed(_ name: String) -> Int? {
            var (low, high) = (0, found.count)
            while low < high {
                let middle = (low + high) / 2
                if found[middle].name < name { low = middle + 1 } else { high = middle }
            }
            return low < found.count && found[low].name == name ? found[low].changed : nil
        }
    }

    private struct Kept {
        var state = State()
        var changed = timespec()
        var time: ContinuousClock.Instant?
    }

    private let root: AdapterRoot?
    private let kept = Mutex(Kept())

    init(_ root: AdapterRoot?) { self.root = root }

    func state() -> State {
        guard let root else { return State() }
        return kept.withLock { kept in
            // A folder may get its files after it was made, which the root does not show.
            let changed = FileStatus.time(root.path)
            let now = ContinuousClock.now
            if let time = kept.time, now - time < .seconds(1), kept.changed.tv_sec == changed.tv_sec,
                kept.changed.tv_nsec == changed.tv_nsec
            {
                return kept.state
            }
            let found = root.names().map { name in
                Found(name: name, changed: FileStatus.changed(root.path + "/" + name))
            }
            if found != kept.state.found {
                kept.state.found = found
                kept.state.revision += 1
            }
            kept.changed = changed
            kept.time = now
            return kept.state
        }
    }
}
