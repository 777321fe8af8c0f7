import Synchronization

/// The languages of the adapters that are served now, for those who send requests: text becomes tokens on their own
/// threads, before the engine sees it. The engine's thread writes it. It may be behind by a moment: the engine checks
/// that a request was read in the language of the generation that will answer it.
final class LanguageDirectory: Sendable {
    typealias Entry = (generation: Int, language: Language)

    private let base: Language
    private let standard: String?
    private let adapters = Mutex<[String: Entry]>([:])

    init(base: Language, standard: String?) {
        self.base = base
        self.standard = standard
    }

    /// Nil if what is chosen is not in memory, as far as is known here.
    func language(of choice: AdapterChoice) -> Language? {
        switch choice {
        case .base: return base
        case .standard: return standard.map { find($0, nil) } ?? base
        case .named(let name, let generation): return find(name, generation)
        }
    }

    /// Whether a choice can mean nothing but the base.
    func isFixed(_ choice: AdapterChoice) -> Bool {
        switch choice {
        case .base: true
        case .standard: standard == nil
        case .named: false
        }
    }

    func replace(_ entries: [String: Entry]) { adapters.withLock { $0 = entries } }

    private func find(_ name: String, _ generation: Int?) -> Language? {
        guard let entry = adapters.withLock({ $0[name] }), generation ?? entry.generation == entry.generation
        else {
            return nil
        }
        return entry.language
    }
}
