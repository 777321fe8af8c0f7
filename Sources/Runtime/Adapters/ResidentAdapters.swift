import DoraLoader

/// What answers a request.
struct ServedModel {
    let weights: ModelWeights
    let language: Language
}

/// The adapters in memory: what they take, who uses them, and which was used when.
struct ResidentAdapters {
    struct Resident {
        let content: AdapterContent
        let model: ServedModel
        let bytes: Int
        /// Requests that are bound to it.
        fileprivate(set) var leases = 0
        fileprivate var lastUsed: Int
    }

    private(set) var all: [AdapterIdentity: Resident] = [:]
    private var clock = 0

    subscript(identity: AdapterIdentity) -> Resident? { all[identity] }

    var bytes: Int { all.values.reduce(0) { $0 + $1.bytes } }

    /// Those that nobody uses, least recently used first.
    var idle: [AdapterIdentity] {
        all.filter { $0.value.leases == 0 }.sorted { $0.value.lastUsed < $1.value.lastUsed }.map(\.key)
    }

    mutating func add(_ identity: AdapterIdentity, content: AdapterContent, model: ServedModel, bytes: Int) {
        clock += 1
        guard all[identity] == nil else { return }
        all[identity] = Resident(content: content, model: model, bytes: bytes, lastUsed: clock)
    }

    mutating func lease(_ identity: AdapterIdentity) {
        all[identity]?.leases += 1
        touch(identity)
    }

    mutating func release(_ identity: AdapterIdentity) {
        all[identity]?.leases -= 1
        touch(identity)
    }

    mutating func remove(_ identity: AdapterIdentity) { all[identity] = nil }

    private mutating func touch(_ identity: AdapterIdentity) {
        clock += 1
        all[identity]?.lastUsed = clock
    }
}
