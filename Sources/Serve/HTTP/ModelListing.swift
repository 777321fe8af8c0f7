import DoraLoader
import DoraRuntime
import DoraText
import NIOCore
import Synchronization

/// The models that can be named, with what is known of them. Of many adapters under the root few change, so that a listing
/// is kept, and given again while all is as it was.
final class ModelListing: Sendable {
    struct Model: Sendable, Equatable {
        let id: String
        let root: String
        let created: Int
        /// Nil for the base.
        var state: AdapterStatus.State?
        var generation: Int?
    }

    /// All that a listing follows from.
    private struct Source: Sendable, Equatable {
        /// The base, and what was asked for or lies elsewhere than under the root; sorted.
        let known: [Model]
        let rootRevision: Int
    }

    struct Page: Sendable {
        /// The base first.
        let models: [Model]
        let json: ByteBuffer
    }

    private let state: ServerState
    private let kept = Mutex<(source: Source, page: Page)?>(nil)
    private var baseName: String { state.openAI.baseName }

    init(state: ServerState) { self.state = state }

    func page() async -> Page {
        let (statuses, root) = await state.engine.knownAdapters
        let base = Model(id: baseName, root: state.model, created: FileStatus.changed(state.model))
        let source = Source(known: [base] + known(statuses, root), rootRevision: root.revision)
        if let page = kept.withLock({ $0?.source == source ? $0?.page : nil }) { return page }
        let page = page(source.known, root.found)
        kept.withLock { $0 = (source, page) }
        return page
    }

    /// An adapter that is being replaced as what its name means now.
    private func known(_ statuses: [AdapterStatus], _ root: RootListing.State) -> [Model] {
        var models: [Model] = []
        var rest = statuses[...]
        while let first = rest.first {
            let alike = rest.prefix { $0.name == first.name }
            rest = rest.dropFirst(alike.count)
            let status = alike.min { Self.rank($0.state) < Self.rank($1.state) } ?? first
            let created = root.changed(status.name) ?? status.folder.map { FileStatus.changed($0) } ?? 0
            models.append(
                Model(
                    id: status.name, root: status.name, created: created, state: status.state,
                    generation: status.generation))
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

    private func page(_ known: [Model], _ found: [RootListing.Found]) -> Page {
        var models = Array(known.prefix(1))
        models.reserveCapacity(known.count + found.count)
        var rest = found[...]
        func takeFound(before end: String?) {
            while let first = rest.first, end.map({ first.name < $0 }) ?? true {
                rest.removeFirst()
                models.append(
                    Model(id: first.name, root: first.name, created: first.changed, state: .available))
            }
        }
        for model in known.dropFirst() {
            takeFound(before: model.id)
            if rest.first?.name == model.id { rest.removeFirst() }
            models.append(model)
        }
        takeFound(before: nil)
        // The base's name is the base's.
        models = models.prefix(1) + models.dropFirst().filter { $0.id != baseName }
        var line = JSONLine(capacity: models.count * 192)
        line.object { line in
            line.key("object")
            line.value("list")
            line.key("data")
            line.array { line in for model in models { write(model, to: &line) } }
        }
        return Page(models: models, json: ByteBuffer(bytes: line.bytes))
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
            line.value(model.state == nil ? nil : baseName)
            line.key("max_model_len")
            line.value(state.engine.context)
            guard let state = model.state else { return }
            line.key("state")
            line.value(state.rawValue)
            if let generation = model.generation {
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

    fileprivate var knownAdapters: ([AdapterStatus], RootListing.State) {
        get async {
            await withCheckedContinuation { continuation in
                knownAdapters { continuation.resume(returning: ($0, $1)) }
            }
        }
    }

    var statistics: EngineStatistics {
        get async {
            await withCheckedContinuation { continuation in statistics { continuation.resume(returning: $0) }
            }
        }
    }
}
