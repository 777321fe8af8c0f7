package import DoraText

/// The base that an adapter says it was trained on: `base_model_name_or_path`, a path or the id of a hub's repository.
package struct NamedBase: Equatable, Sendable {
    /// The adapter's folder.
    package let adapter: String
    /// Nil: it does not say.
    package let name: String?
    private let revision: String?

    /// Reads two keys, whatever kind of adapter it is; the rest is checked when it is loaded.
    /// - Throws: `LoadError` when there is no adapter in the folder or its configuration is no JSON.
    package init(adapter folder: String) throws(LoadError) {
        let file = try AdapterConfiguration.path(in: Folder(folder))
        let fields = try JSONFields(
            parsing: MappedFile.contents(of: file, atMost: ModelConfiguration.Limit.fileBytes), file: file)
        adapter = folder
        name = try fields.string("base_model_name_or_path").flatMap { $0.isEmpty ? nil : $0 }
        revision = try fields.string("revision")
    }

    /// Where that is on this machine: under the path as it stands, as PEFT reads it, or relative to the adapter's
    /// folder; else in the cache.
    /// - Throws: `LoadError` with the command that fetches it, if it is an id.
    package func path(in places: ModelPlaces) throws(LoadError) -> String? {
        guard let name else { return nil }
        let candidates = name.hasPrefix("/") ? [name] : [name, Folder(adapter).file(name)]
        if let path = candidates.first(where: Self.isModel) { return path }
        return try HubID(name, revision: revision).map { id throws(LoadError) in try places.base(id) }
    }

    /// A folder of that name may be anything.
    private static func isModel(_ path: String) -> Bool {
        let folder = Folder(path)
        return folder.contains("config.json") || (folder.isThere && !folder.contains("."))
    }
}
