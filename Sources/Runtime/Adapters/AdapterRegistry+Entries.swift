extension AdapterRegistry {
    /// A load to carry out.
    struct Load: Equatable {
        let ticket: Ticket
        let name: String
        let place: AdapterPlace
        /// Where that was when the load was ordered.
        let folder: String
        var isPinned: Bool
        /// False once the name was unloaded meanwhile: those who wait are still served, nobody after them.
        var isWanted = true
        var charged = 0
    }

    /// What is known of a name.
    struct Entry {
        var place: AdapterPlace
        var isPinned = false
        var isDisabled = false
        /// The generation that the name means, while it is resident.
        var current: Int?
        /// What the name meant last, resident or not.
        var latest: (generation: Int, digest: String)?
        /// The generation of every content that the name has ever stood for: a content that comes back, be it after
        /// an eviction or because somebody changed their mind, is the same generation.
        var published: [String: Int] = [:]
        var load: Ticket?

        /// Whether the name means more than its folder under the root does by itself.
        var isWorthKeeping: Bool {
            if case .folder = place { return true }
            return load != nil || isDisabled || !published.isEmpty
        }
    }
}
