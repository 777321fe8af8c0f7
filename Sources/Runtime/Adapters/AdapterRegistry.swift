import DoraLoader

/// Which adapters there are, which generation of each is served, and what they may cost. A value without threads or
/// files: the engine asks it, does the work, and tells it the outcome.
///
///     named -> loading (being read and merged) -> resident -> draining (replaced, unloaded or evicted) -> gone
///
/// A generation becomes visible in one step, fully merged; a load that fails leaves what was served as it was.
struct AdapterRegistry {
    typealias Ticket = Int

    /// A load to carry out.
    struct Load: Equatable {
        let ticket: Ticket
        let name: String
        let folder: String
        fileprivate(set) var isPinned: Bool
        /// False once the name was unloaded meanwhile: those who wait are still served, nobody after them.
        fileprivate(set) var isWanted = true
        fileprivate(set) var charged = 0
    }

    /// What a choice of adapter comes to.
    enum Resolution: Equatable {
        /// Served now; holds a lease.
        case ready(AdapterIdentity?)
        /// Once the load of this ticket is done; the load is `starting` if nobody had asked for it before.
        case waiting(Ticket, starting: Load?)
    }

    struct Generation {
        let digest: String
        let weights: ModelWeights
        let bytes: Int
        var leases = 0
        var lastUsed = 0
    }

    struct Entry {
        var folder: String
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
    }

    /// Bytes that merged matrices may take.
    let budget: Int
    let standard: String?
    let root: AdapterRoot?
    private(set) var entries: [String: Entry] = [:]
    private(set) var generations: [AdapterIdentity: Generation] = [:]
    private(set) var loads: [Ticket: Load] = [:]
    private var nextTicket = 1
    private var clock = 0
    private(set) var evictions = 0

    /// - Parameters:
    ///   - adapters: names and the folders that they stand for.
    ///   - standard: what a request without an adapter gets; nil for the base.
    init(budget: Int, adapters: [(name: String, folder: String)], standard: String?, root: AdapterRoot?) {
        self.budget = budget
        self.standard = standard
        self.root = root
        for adapter in adapters { entries[adapter.name] = Entry(folder: adapter.folder) }
    }

    /// Bytes of every generation in memory and of the loads under way.
    var bytes: Int {
        generations.values.reduce(0) { $0 + $1.bytes } + loads.values.reduce(0) { $0 + $1.charged }
    }

    // MARK: Requests

    /// Binds a request to the generation that its choice means now, or to the load that will make it.
    mutating func resolve(_ choice: AdapterChoice) throws(EngineError) -> Resolution {
        let (name, generation): (String, Int?)
        switch choice {
        case .base: return .ready(nil)
        case .standard:
            guard let standard else { return .ready(nil) }
            (name, generation) = (standard, nil)
        case .named(let wanted, let number): (name, generation) = (wanted, number)
        }
        let entry = try entry(name)
        if entry.isDisabled {
            throw EngineError(
                .conflict, "adapter_disabled", "adapter '\(name)' is disabled", param: "adapter")
        }
        if let current = entry.current, generation == nil || generation == current {
            return .ready(lease(AdapterIdentity(name: name, generation: current)))
        }
        if let generation, entry.current != nil || (entry.latest.map { $0.generation != generation } ?? true)
        {
            throw EngineError(
                .notFound, "unknown_generation",
                "adapter '\(name)' is not at generation \(generation)"
                    + (entry.current.map { ", but at \($0)" } ?? ""), param: "adapter")
        }
        if let ticket = entry.load { return .waiting(ticket, starting: nil) }
        let load = start(name, folder: entry.folder, isPinned: entry.isPinned)
        return .waiting(load.ticket, starting: load)
    }

    /// Keeps a generation until `release`.
    @discardableResult mutating func lease(_ identity: AdapterIdentity) -> AdapterIdentity {
        clock += 1
        generations[identity]?.leases += 1
        generations[identity]?.lastUsed = clock
        return identity
    }

    func weights(_ identity: AdapterIdentity) -> ModelWeights? { generations[identity]?.weights }

    /// Gives a lease back.
    /// - Returns: whether the generation has left memory with it.
    mutating func release(_ identity: AdapterIdentity) -> Bool {
        generations[identity]?.leases -= 1
        return dropIfDone(identity)
    }

    // MARK: Loads

    /// - Parameter path: relative to the root; nil for the folder that the name stands for.
    /// - Returns: the load to carry out, or that of the same folder which is under way.
    mutating func orderLoad(
        _ name: String, path: String?, isReplacement: Bool, expectedGeneration: Int?, isPinned: Bool
    ) throws(EngineError) -> (load: Load, isNew: Bool) {
        try AdapterName.check(name)
        let folder: String
        if let path {
            guard let found = try root?.folder(path) else { throw unknown(name, path: path) }
            folder = found
        } else {
            folder = try entry(name).folder
        }
        let entry = entries[name] ?? Entry(folder: folder)
        if let expectedGeneration, expectedGeneration != entry.latest?.generation ?? 0 {
            throw EngineError(
                .conflict, "generation_mismatch",
                "adapter '\(name)' is at generation \(entry.latest?.generation ?? 0), not \(expectedGeneration)",
                param: "expect_generation")
        }
        if entry.current != nil && !isReplacement {
            throw EngineError(
                .conflict, "already_loaded", "adapter '\(name)' is loaded; pass \"replace\": true",
                param: "name")
        }
        if let ticket = entry.load, let load = loads[ticket] {
            guard load.folder == folder, load.isWanted else {
                throw EngineError(
                    .conflict, "loading", "adapter '\(name)' is being loaded; try again", param: "name")
            }
            loads[ticket]?.isPinned = load.isPinned || isPinned
            return (load, false)
        }
        entries[name] = entry
        entries[name]?.isDisabled = false
        return (start(name, folder: folder, isPinned: isPinned), true)
    }

    /// Whether the contents of a load are in memory already, so that nothing has to be merged: they are published again.
    mutating func revive(
        _ ticket: Ticket, digest: String
    ) -> (identity: AdapterIdentity, gone: AdapterIdentity?)? {
        guard let load = loads[ticket], let number = entries[load.name]?.published[digest] else {
            return nil
        }
        let identity = AdapterIdentity(name: load.name, generation: number)
        guard generations[identity] != nil else { return nil }
        return (identity, finish(load, identity, digest))
    }

    /// Charges a load, evicting idle adapters that nobody pinned, least recently used first.
    /// - Returns: the adapters that left memory.
    mutating func charge(_ ticket: Ticket, bytes needed: Int) throws(EngineError) -> [AdapterIdentity] {
        guard let load = loads[ticket] else { return [] }
        if needed > budget {
            throw EngineError(
                .invalidRequest, "adapter_too_large",
                "adapter '\(load.name)' takes \(needed) bytes once merged, and --memory allows \(budget)",
                param: "adapter")
        }
        if load.isPinned { try checkPin(load, bytes: needed) }
        // Not what the load is to replace: it is served until then, and still if the load fails.
        let idle = idleIdentities().filter { $0.name != load.name }
        var room = budget - bytes
        var victims: [AdapterIdentity] = []
        for identity in idle where room < needed {
            room += generations[identity]?.bytes ?? 0
            victims.append(identity)
        }
        guard room >= needed else {
            throw EngineError(
                .busy, "adapters_busy",
                "adapter '\(load.name)' needs \(needed) bytes, and every loaded adapter is in use or pinned; try again",
                param: "adapter")
        }
        for identity in victims { evict(identity) }
        loads[ticket]?.charged = needed
        return victims
    }

    /// Makes a merged adapter visible: from here on the name means it.
    /// - Returns: its identity; the generation before, if it has left memory already.
    mutating func publish(
        _ ticket: Ticket, digest: String, weights: ModelWeights, bytes: Int
    ) -> (identity: AdapterIdentity, gone: AdapterIdentity?)? {
        guard let load = loads[ticket] else { return nil }
        let published = entries[load.name]?.published ?? [:]
        let number = published[digest] ?? published.count + 1
        let identity = AdapterIdentity(name: load.name, generation: number)
        if generations[identity] == nil {
            generations[identity] = Generation(digest: digest, weights: weights, bytes: bytes)
        }
        return (identity, finish(load, identity, digest))
    }

    /// A load came to nothing; what the name meant before it still does.
    mutating func fail(_ ticket: Ticket) {
        guard let load = loads.removeValue(forKey: ticket) else { return }
        if entries[load.name]?.load == ticket { entries[load.name]?.load = nil }
    }

    /// Frees a name; its memory goes with the last request that uses it.
    /// - Returns: the generation, if it has left memory already.
    mutating func unload(_ name: String, disable: Bool) throws(EngineError) -> AdapterIdentity? {
        guard var entry = entries[name], entry.current != nil || entry.load != nil || disable else {
            throw EngineError(.notFound, "not_loaded", "adapter '\(name)' is not loaded", param: "name")
        }
        let identity = entry.current.map { AdapterIdentity(name: name, generation: $0) }
        if let ticket = entry.load, let load = loads[ticket] {
            loads[ticket]?.isWanted = false
            // Naming it again means what was ordered last.
            entry.folder = load.folder
        }
        entry.load = nil
        entry.current = nil
        entry.isPinned = false
        entry.isDisabled = disable
        entries[name] = entry
        return identity.flatMap { dropIfDone($0) ? $0 : nil }
    }

    /// Lets a generation go that nobody leased, e.g. one published for waiters who have left.
    mutating func dropIfDone(_ identity: AdapterIdentity) -> Bool {
        guard let generation = generations[identity], generation.leases == 0,
            entries[identity.name]?.current != identity.generation
        else { return false }
        generations[identity] = nil
        return true
    }
}

extension AdapterRegistry {
    /// What is known of a name, be it from the command line or from the root.
    private mutating func entry(_ name: String) throws(EngineError) -> Entry {
        if let entry = entries[name] { return entry }
        guard let folder = try root?.folder(name) else { throw unknown(name, path: nil) }
        let entry = Entry(folder: folder)
        entries[name] = entry
        return entry
    }

    private func unknown(_ name: String, path: String?) -> EngineError {
        EngineError(
            .notFound, "unknown_adapter",
            root == nil
                ? "there is no adapter '\(name)'; the server was started without --adapter-root"
                : "there is no adapter '\(path ?? name)' under the adapter root",
            param: path == nil ? "adapter" : "path")
    }

    private mutating func start(_ name: String, folder: String, isPinned: Bool) -> Load {
        let load = Load(ticket: nextTicket, name: name, folder: folder, isPinned: isPinned)
        nextTicket += 1
        loads[load.ticket] = load
        entries[name]?.load = load.ticket
        return load
    }

    /// Lets the name mean a generation, unless it was unloaded meanwhile.
    /// - Returns: what it meant before, if that has left memory with it.
    private mutating func finish(
        _ load: Load, _ identity: AdapterIdentity, _ digest: String
    ) -> AdapterIdentity? {
        loads[load.ticket] = nil
        guard var entry = entries[load.name] else { return nil }
        let before = entry.current.map { AdapterIdentity(name: load.name, generation: $0) }
        entry.published[digest] = identity.generation
        if load.isWanted {
            entry.latest = (identity.generation, digest)
            entry.load = nil
            entry.folder = load.folder
            entry.isPinned = load.isPinned
            entry.current = identity.generation
        }
        entries[load.name] = entry
        return before.flatMap { dropIfDone($0) ? $0 : nil }
    }

    /// Pinned adapters must leave room for one more, or no other could ever be served.
    private func checkPin(_ load: Load, bytes needed: Int) throws(EngineError) {
        let pinned = entries.reduce(0) { sum, entry in
            guard entry.value.isPinned, entry.key != load.name, let number = entry.value.current else {
                return sum
            }
            return sum + (generations[AdapterIdentity(name: entry.key, generation: number)]?.bytes ?? 0)
        }
        if pinned + 2 * needed > budget {
            throw EngineError(
                .conflict, "too_many_pinned",
                "pinning '\(load.name)' would leave no room for another adapter",
                param: "pin")
        }
    }

    /// What may be evicted, least recently used first.
    private func idleIdentities() -> [AdapterIdentity] {
        generations.filter { identity, generation in
            generation.leases == 0 && entries[identity.name]?.isPinned != true
        }.sorted { $0.value.lastUsed < $1.value.lastUsed }.map(\.key)
    }

    private mutating func evict(_ identity: AdapterIdentity) {
        entries[identity.name]?.current = nil
        generations[identity] = nil
        evictions += 1
    }
}
