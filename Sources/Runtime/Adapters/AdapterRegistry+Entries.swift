import DoraLoader

extension AdapterRegistry {
    /// A load to carry out.
    struct Load: Equatable {
        let ticket: Ticket
        let name: String
        let place: AdapterPlace
        /// Where that was when the load was ordered.
        let folder: String
        var isPinned: Bool
        /// What was asked for; nil for the server's own choice.
        let form: StorageOptions.Form?
        /// False once the name was unloaded meanwhile: those who wait are still served, nobody after them.
        var isWanted = true
        var charged = 0
    }

    /// What is known of a name.
    struct Entry {
        var place: AdapterPlace
        var isPinned = false
        /// As it was ordered last; nil for the server's own choice.
        var form: StorageOptions.Form?
        var isDisabled = false
        /// The generation that the name means, while it is resident.
        var current: Int?
        /// What the name meant last, resident or not.
        var latest: (generation: Int, content: AdapterContent)?
        /// The generation of every content that the name has ever stood for: a content that comes back, be it after
        /// an eviction or because somebody changed their mind, is the same generation.
        var published: [AdapterContent: Int] = [:]
        var load: Ticket?

        /// Whether the name means more than its folder under the root does by itself.
        var isWorthKeeping: Bool {
            if case .folder = place { return true }
            return load != nil || isDisabled || !published.isEmpty
        }
    }

    /// Whether a name is more than something that a client said.
    func isKnown(_ name: String) -> Bool { entries[name] != nil }

    /// What the names mean now, sorted.
    var served: [EngineStatistics.Resident] {
        entries.compactMap { name, entry in
            guard let generation = entry.current,
                let resident = residents[AdapterIdentity(name: name, generation: generation)]
            else { return nil }
            return EngineStatistics.Resident(
                name: name, bytes: resident.bytes, form: resident.content.form, isPinned: entry.isPinned)
        }.sorted { $0.name < $1.name }
    }

    /// What is known of a name, be it from the command line or from the root.
    func entry(_ name: String) throws(EngineError) -> Entry {
        if let entry = entries[name] { return entry }
        let entry = Entry(place: .underRoot(name))
        _ = try folder(of: entry.place, name)
        return entry
    }

    /// Where a place is now: the links of a root may point elsewhere than before.
    func folder(of place: AdapterPlace, _ name: String) throws(EngineError) -> String {
        switch place {
        case .folder(let path): return path
        case .underRoot(let path):
            guard let folder = try root?.folder(path) else {
                throw unknown(name, path: path == name ? nil : path)
            }
            return folder
        }
    }

    private func unknown(_ name: String, path: String?) -> EngineError {
        EngineError(
            .notFound, "unknown_adapter",
            root == nil
                ? "there is no adapter '\(name)'; the server was started without --adapter-root"
                : "there is no adapter '\(path ?? name)' under the adapter root",
            param: path == nil ? "adapter" : "path")
    }
}
