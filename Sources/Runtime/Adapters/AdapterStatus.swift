package import DoraLoader

/// What `adapters` lists.
package struct AdapterStatus: Sendable, Equatable {
    package enum State: String, Sendable {
        case loaded, merging, draining, available, disabled
    }

    package let name: String
    package let state: State
    package let generation: Int?
    package let digest: String?
    /// Of what is or was served; nil before.
    package let form: AdapterForm?
    package let bytes: Int
    package let isPinned: Bool
    package let requests: Int
    /// Where it was given on the command line; nil for a folder under the root.
    package let folder: String?
}

extension AdapterRegistry {
    /// Every name that means more than its folder under the root, and every generation in memory, sorted.
    var statuses: [AdapterStatus] {
        func folder(_ name: String) -> String? {
            if case .folder(let path)? = entries[name]?.place { path } else { nil }
        }
        var found: [AdapterStatus] = residents.all.map { identity, generation in
            let entry = entries[identity.name]
            let isCurrent = entry?.current == identity.generation
            return AdapterStatus(
                name: identity.name, state: isCurrent ? .loaded : .draining, generation: identity.generation,
                digest: generation.content.digest, form: generation.content.form, bytes: generation.bytes,
                isPinned: isCurrent && entry?.isPinned == true,
                requests: generation.leases, folder: folder(identity.name))
        }
        found += loads.values.map {
            AdapterStatus(
                name: $0.name, state: .merging, generation: nil, digest: nil, form: nil,
                bytes: $0.charged, isPinned: $0.isPinned,
                requests: 0, folder: folder($0.name))
        }
        let seen = Set(found.map(\.name))
        found += entries.filter { !seen.contains($0.key) }.map { name, entry in
            AdapterStatus(
                name: name, state: entry.isDisabled ? .disabled : .available,
                generation: entry.latest?.generation, digest: entry.latest?.content.digest,
                form: entry.latest?.content.form, bytes: 0,
                isPinned: false, requests: 0, folder: folder(name))
        }
        return found.sorted { ($0.name, $0.generation ?? .max) < ($1.name, $1.generation ?? .max) }
    }
}

extension AdapterStatus {
    /// An adapter of which nobody has asked anything.
    private init(onDisk name: String) {
        self.init(
            name: name, state: .available, generation: nil, digest: nil, form: nil, bytes: 0, isPinned: false,
            requests: 0,
            folder: nil)
    }

    /// Those that are known, and between them those that only lie under the root.
    /// - Parameters: both sorted.
    static func all(_ known: [AdapterStatus], onDisk names: [String]) -> [AdapterStatus] {
        var (all, rest) = ([AdapterStatus](), names[...])
        all.reserveCapacity(known.count + names.count)
        for status in known {
            while let name = rest.first, name < status.name {
                all.append(AdapterStatus(onDisk: name))
                rest.removeFirst()
            }
            if rest.first == status.name { rest.removeFirst() }
            all.append(status)
        }
        return all + rest.map(AdapterStatus.init(onDisk:))
    }
}
