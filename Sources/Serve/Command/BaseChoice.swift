package import DoraLoader

/// Which base model a command runs: the one that it is given, else the one that its adapters were trained on, else the
/// demo model. An adapter that is loaded later has no say.
package struct BaseChoice: Equatable, Sendable {
    /// Of a folder, a packed or a GGUF file.
    package let path: String
    /// Why this one; nil if it was given as it is.
    package let reason: String?

    /// - Parameters:
    ///   - given: by an option, the environment or a configuration file: a path, or the id of a model in the cache.
    ///   - adapters: folders of the command line's adapters.
    ///   - demo: the demo model's folder, if there is one.
    /// - Throws: `LoadError` with the command that fetches a base; `OptionProblem` when adapters name several or none.
    package init(
        given: String?, adapters: [String], places: ModelPlaces, demo: String? = BundledModel.find()
    ) throws {
        if let given {
            self.init(path: try places.base(given), reason: try places.remark(onBase: given))
        } else if adapters.isEmpty {
            guard let demo else { throw Self.problem("give one, or set DORA_MODEL") }
            self.init(path: demo, reason: "the demo model, as neither a model nor an adapter was given")
        } else {
            let named = try adapters.map { try NamedBase(adapter: $0) }
            if let demo, named.allSatisfy({ Self.isDemo($0, demo) }) {
                self.init(path: demo, reason: "the demo model, which is the base of \(adapters.listed)")
            } else {
                self = try Self.common(to: named, places)
            }
        }
    }

    private init(path: String, reason: String?) {
        self.path = path
        self.reason = reason
    }

    /// One line for people.
    package var notice: String? { reason.map { "model: \(path) (\($0))" } }

    /// The one base of all adapters.
    private static func common(to named: [NamedBase], _ places: ModelPlaces) throws -> BaseChoice {
        var found: [(path: String, real: String, named: NamedBase)] = []
        for base in named {
            guard let name = base.name else {
                throw problem("\(base.adapter) does not say on which base it was trained; give --model")
            }
            guard let path = try base.path(in: places) else {
                throw problem(
                    "\(base.adapter) was trained on '\(name)', which is not there; give its folder as --model"
                )
            }
            found.append((path, Folder(path).realPath ?? path, base))
        }
        guard let first = found.first else { throw problem("give one") }
        if let other = found.first(where: { $0.real != first.real }) {
            throw problem(
                "the adapters were trained on different bases, \(first.named.adapter) on '\(first.named.name ?? "")' and "
                    + "\(other.named.adapter) on '\(other.named.name ?? "")'; give one as --model")
        }
        let adapters = named.map(\.adapter).listed
        return BaseChoice(path: first.path, reason: "'\(first.named.name ?? "")', the base of \(adapters)")
    }

    /// The demo's adapters name it as it lies in the project, wherever they are used from; nothing else of that name is
    /// there.
    private static func isDemo(_ base: NamedBase, _ demo: String) -> Bool {
        guard let name = base.name, name.contains("/") else { return false }
        return demo.hasSuffix("/" + name) && !Folder(name).isThere && !Folder(base.adapter).contains(name)
    }

    private static func problem(_ text: String) -> OptionProblem {
        OptionProblem(option: "--model", problem: text)
    }
}
