/// What `adapters` lists.
package struct AdapterStatus: Sendable, Equatable {
    package enum State: String, Sendable {
        case loaded, merging, draining, available, disabled
    }

    package let name: String
    package let state: State
    package let generation: Int?
    package let digest: String?
    package let bytes: Int
    package let isPinned: Bool
    package let requests: Int
}

extension AdapterRegistry {
    /// Every name and every generation in memory, sorted.
    /// - Parameter onDisk: names of the adapters under the root.
    func statuses(onDisk: [String]) -> [AdapterStatus] {
        var found: [AdapterStatus] = residents.all.map { identity, generation in
            let entry = entries[identity.name]
            let isCurrent = entry?.current == identity.generation
            return AdapterStatus(
                name: identity.name, state: isCurrent ? .loaded : .draining, generation: identity.generation,
                digest: generation.digest, bytes: generation.bytes,
                isPinned: isCurrent && entry?.isPinned == true,
                requests: generation.leases)
        }
        found += loads.values.map {
            AdapterStatus(
                name: $0.name, state: .merging, generation: nil, digest: nil, bytes: $0.charged,
                isPinned: $0.isPinned,
                requests: 0)
        }
        let seen = Set(found.map(\.name))
        let names = Set(entries.keys).union(onDisk).subtracting(seen)
        found += names.map { name in
            AdapterStatus(
                name: name, state: entries[name]?.isDisabled == true ? .disabled : .available,
                generation: entries[name]?.latest?.generation, digest: entries[name]?.latest?.digest,
                bytes: 0,
                isPinned: false, requests: 0)
        }
        return found.sorted { ($0.name, $0.generation ?? .max) < ($1.name, $1.generation ?? .max) }
    }
}
