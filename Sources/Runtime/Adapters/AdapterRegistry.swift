import DoraLoader

/// Which adapters there are, which generation of each is served, and what they may cost. A value without threads or
/// files: the engine asks it, does the work, and tells it the outcome.
///
///     named -> loading (being read, and merged or factored) -> resident -> draining (replaced, unloaded or evicted) -> gone
///
/// A generation becomes visible in one step, complete; a load that fails leaves what was served as it was.
struct AdapterRegistry {
    typealias Ticket = Int

    /// What a choice of adapter comes to.
    enum Resolution: Equatable {
        /// Served now; holds a lease.
        case ready(AdapterIdentity?)
        /// Once the load of this ticket is done; the load is `starting` if nobody had asked for it before.
        case waiting(Ticket, starting: Load?)
    }

    /// Bytes that merged matrices and factors may take.
    let budget: Int
    let standard: String?
    let root: AdapterRoot?
    private(set) var entries: [String: Entry] = [:]
    private(set) var residents = ResidentAdapters()
    private(set) var loads: [Ticket: Load] = [:]
    private var nextTicket = 1
    private(set) var evictions = 0
    /// Whether a name means another generation than at the last `takeLanguages`.
    private var hasNewMeanings = false

    /// - Parameters:
    ///   - adapters: names and the folders that they stand for.
    ///   - standard: what a request without an adapter gets; nil for the base.
    init(budget: Int, adapters: [(name: String, folder: String)], standard: String?, root: AdapterRoot?) {
        self.budget = budget
        self.standard = standard
        self.root = root
        for adapter in adapters { entries[adapter.name] = Entry(place: .folder(adapter.folder)) }
    }

    /// Bytes of every generation in memory and of the loads under way.
    var bytes: Int { residents.bytes + loads.values.reduce(0) { $0 + $1.charged } }

    // MARK: Requests

    /// Nil for the base.
    func name(of choice: AdapterChoice) -> String? {
        switch choice {
        case .base: nil
        case .standard: standard
        case .named(let name, _): name
        }
    }

    /// Binds a request to the generation that its choice means now, or to the load that will make it.
    mutating func resolve(_ choice: AdapterChoice) throws(EngineError) -> Resolution {
        guard let name = name(of: choice) else { return .ready(nil) }
        var generation: Int?
        if case .named(_, let number) = choice { generation = number }
        let entry = try entry(name)
        if entry.isDisabled {
            throw EngineError(
                .conflict, "adapter_disabled", "adapter '\(name)' is disabled", param: "adapter")
        }
        if let current = entry.current, generation == nil || generation == current {
            let identity = AdapterIdentity(name: name, generation: current)
            residents.lease(identity)
            return .ready(identity)
        }
        if let generation, entry.current != nil || (entry.latest.map { $0.generation != generation } ?? true)
        {
            throw EngineError(
                .notFound, "unknown_generation",
                "adapter '\(name)' is not at generation \(generation)"
                    + (entry.current.map { ", but at \($0)" } ?? ""), param: "adapter")
        }
        if let ticket = entry.load { return .waiting(ticket, starting: nil) }
        let load = try start(name, entry.place, form: entry.form, isPinned: entry.isPinned)
        return .waiting(load.ticket, starting: load)
    }

    /// Keeps a generation until `release`.
    mutating func lease(_ identity: AdapterIdentity) { residents.lease(identity) }

    func model(_ identity: AdapterIdentity) -> ServedModel? { residents[identity]?.model }

    /// The languages of what the names mean now, if that has changed since the last call.
    mutating func takeLanguages() -> [String: LanguageDirectory.Entry]? {
        guard hasNewMeanings else { return nil }
        hasNewMeanings = false
        return entries.reduce(into: [:]) { languages, entry in
            guard let generation = entry.value.current, !entry.value.isDisabled,
                let model = residents[AdapterIdentity(name: entry.key, generation: generation)]?.model
            else { return }
            languages[entry.key] = (generation, model.language)
        }
    }

    /// Gives a lease back.
    /// - Returns: whether the generation has left memory with it.
    mutating func release(_ identity: AdapterIdentity) -> Bool {
        residents.release(identity)
        return dropIfDone(identity)
    }

    // MARK: Loads

    /// - Parameters:
    ///   - path: relative to the root; nil for the folder that the name stands for.
    ///   - form: nil for the server's own choice.
    /// - Returns: the load to carry out, or that of the same folder which is under way.
    mutating func orderLoad(
        _ name: String, path: String?, form: StorageOptions.Form? = nil, isReplacement: Bool,
        expectedGeneration: Int?, isPinned: Bool
    ) throws(EngineError) -> (load: Load, isNew: Bool) {
        try AdapterName.check(name)
        let place: AdapterPlace = if let path { .underRoot(path) } else { try entry(name).place }
        let folder = try folder(of: place, name)
        let entry = entries[name] ?? Entry(place: place)
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
            guard load.folder == folder, load.form == form, load.isWanted else {
                throw EngineError(
                    .conflict, "loading", "adapter '\(name)' is being loaded; try again", param: "name")
            }
            if isPinned && load.charged > 0 { try checkPin(load, bytes: load.charged) }
            loads[ticket]?.isPinned = load.isPinned || isPinned
            return (load, false)
        }
        entries[name] = entry
        return (try start(name, place, form: form, isPinned: isPinned), true)
    }

    /// Whether the contents of a load are in memory already, so that nothing has to be merged: they are published again.
    mutating func revive(
        _ ticket: Ticket, content: AdapterContent
    ) throws(EngineError) -> (identity: AdapterIdentity, gone: AdapterIdentity?)? {
        guard let load = loads[ticket], let number = entries[load.name]?.published[content] else {
            return nil
        }
        let identity = AdapterIdentity(name: load.name, generation: number)
        guard let resident = residents[identity] else { return nil }
        if load.isPinned { try checkPin(load, bytes: resident.bytes) }
        return (identity, finish(load, identity, content))
    }

    /// Charges a load, evicting idle adapters that nobody pinned, least recently used first.
    /// - Returns: the adapters that left memory.
    mutating func charge(_ ticket: Ticket, bytes needed: Int) throws(EngineError) -> [AdapterIdentity] {
        guard let load = loads[ticket] else { return [] }
        if needed > budget {
            throw EngineError(
                .invalidRequest, "adapter_too_large",
                "adapter '\(load.name)' takes \(needed) bytes once loaded, and --memory allows \(budget)",
                param: "adapter")
        }
        if load.isPinned { try checkPin(load, bytes: needed) }
        // Not what the load is to replace: it is served until then, and still if the load fails.
        let idle = residents.idle.filter { $0.name != load.name && entries[$0.name]?.isPinned != true }
        var room = budget - bytes + load.charged
        var victims: [AdapterIdentity] = []
        for identity in idle where room < needed {
            room += residents[identity]?.bytes ?? 0
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
        _ ticket: Ticket, content: AdapterContent, model: ServedModel
    ) -> (identity: AdapterIdentity, gone: AdapterIdentity?)? {
        guard let load = loads[ticket] else { return nil }
        let published = entries[load.name]?.published ?? [:]
        let number = published[content] ?? published.count + 1
        let identity = AdapterIdentity(name: load.name, generation: number)
        residents.add(identity, content: content, model: model, bytes: load.charged)
        return (identity, finish(load, identity, content))
    }

    /// A load came to nothing; what the name meant before it still does.
    mutating func fail(_ ticket: Ticket) {
        guard let load = loads.removeValue(forKey: ticket), var entry = entries[load.name] else { return }
        if entry.load == ticket { entry.load = nil }
        entries[load.name] = entry.isWorthKeeping ? entry : nil
    }

    /// Frees a name; its memory goes with the last request that uses it.
    /// - Returns: the generation, if it has left memory already.
    mutating func unload(_ name: String, disable: Bool) throws(EngineError) -> AdapterIdentity? {
        try AdapterName.check(name)
        var entry = try entry(name)
        guard entry.current != nil || entry.load != nil || disable else {
            throw EngineError(.notFound, "not_loaded", "adapter '\(name)' is not loaded", param: "name")
        }
        let identity = entry.current.map { AdapterIdentity(name: name, generation: $0) }
        if let ticket = entry.load, let load = loads[ticket] {
            loads[ticket]?.isWanted = false
            // Naming it again means what was ordered last.
            entry.place = load.place
        }
        entry.load = nil
        entry.current = nil
        entry.isPinned = false
        entry.isDisabled = disable
        entries[name] = entry
        hasNewMeanings = true
        return identity.flatMap { dropIfDone($0) ? $0 : nil }
    }

    /// Lets a generation go that nobody leased, e.g. one published for waiters who have left.
    mutating func dropIfDone(_ identity: AdapterIdentity) -> Bool {
        guard let resident = residents[identity], resident.leases == 0,
            entries[identity.name]?.current != identity.generation
        else { return false }
        residents.remove(identity)
        return true
    }
}

extension AdapterRegistry {
    private mutating func start(
        _ name: String, _ place: AdapterPlace, form: StorageOptions.Form?, isPinned: Bool
    ) throws(EngineError) -> Load {
        let folder = try folder(of: place, name)
        let load = Load(
            ticket: nextTicket, name: name, place: place, folder: folder, isPinned: isPinned, form: form)
        nextTicket += 1
        loads[load.ticket] = load
        entries[name, default: Entry(place: place)].load = load.ticket
        return load
    }

    /// Lets the name mean a generation, unless it was unloaded meanwhile.
    /// - Returns: what it meant before, if that has left memory with it.
    private mutating func finish(
        _ load: Load, _ identity: AdapterIdentity, _ content: AdapterContent
    ) -> AdapterIdentity? {
        loads[load.ticket] = nil
        guard var entry = entries[load.name] else { return nil }
        let before = entry.current.map { AdapterIdentity(name: load.name, generation: $0) }
        entry.published[content] = identity.generation
        if load.isWanted {
            entry.latest = (identity.generation, content)
            entry.load = nil
            entry.place = load.place
            entry.isPinned = load.isPinned
            entry.form = load.form
            entry.isDisabled = false
            entry.current = identity.generation
            hasNewMeanings = true
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
            return sum + (residents[AdapterIdentity(name: entry.key, generation: number)]?.bytes ?? 0)
        }
        if pinned + 2 * needed > budget {
            throw EngineError(
                .conflict, "too_many_pinned",
                "pinning '\(load.name)' would leave no room for another adapter",
                param: "pin")
        }
    }

    private mutating func evict(_ identity: AdapterIdentity) {
        entries[identity.name]?.current = nil
        hasNewMeanings = true
        residents.remove(identity)
        evictions += 1
    }
}
