import DoraLoader
import DoraRuntime
import DoraText

/// The models that can be named, with what is known of them.
struct ModelListing: Sendable {
    struct Model: Sendable {
        let id: String
        let root: String
        let created: Int
        /// Nil for the base.
        let adapter: AdapterStatus?
    }

    let state: ServerState
    private var baseName: String { state.openAI.baseName }

    /// The base first; an adapter that is being replaced as what its name means now.
    func models() async -> [Model] {
        let statuses = await state.engine.adapters
        let times = state.engine.listing.adapters().reduce(into: [:]) { $0[$1.name] = $1.changed }
        var models = [
            Model(
                id: baseName, root: state.model, created: FileStatus.changed(state.model), adapter: nil)
        ]
        models.reserveCapacity(statuses.count + 1)
        var rest = statuses[...]
        while let first = rest.first {
            let alike = rest.prefix { $0.name == first.name }
            rest = rest.dropFirst(alike.count)
            let status = alike.min { Self.rank($0.state) < Self.rank($1.state) } ?? first
            guard status.name != baseName else { continue }
            let created = times[status.name] ?? status.folder.map { FileStatus.changed($0) } ?? 0
            models.append(Model(id: status.name, root: status.name, created: created, adapter: status))
        }
        return models
    }

    private static func rank(_ state: AdapterStatus.State) -> Int {
        switch state {
        case .loaded: 0
        case .merging: 1
        case .available: 2
        case .disabled: 3
        case .draining: 4
        }
    }

    func write(_ model: Model, to line: inout JSONLine) {
        line.object { line in
            line.key("id")
            line.value(model.id)
            line.key("object")
            line.value("model")
            line.key("created")
            line.value(model.created)
            line.key("owned_by")
            line.value("dora")
            line.key("root")
            line.value(model.root)
            line.key("parent")
            line.value(model.adapter == nil ? nil : baseName)
            line.key("max_model_len")
            line.value(state.engine.context)
            guard let adapter = model.adapter else { return }
            line.key("state")
            line.value(adapter.state.rawValue)
            if let generation = adapter.generation {
                line.key("generation")
                line.value(generation)
            }
        }
    }
}

extension Engine {
    var adapters: [AdapterStatus] {
        get async {
            await withCheckedContinuation { continuation in adapters { continuation.resume(returning: $0) } }
        }
    }

    var statistics: EngineStatistics {
        get async {
            await withCheckedContinuation { continuation in statistics { continuation.resume(returning: $0) }
            }
        }
    }
}
