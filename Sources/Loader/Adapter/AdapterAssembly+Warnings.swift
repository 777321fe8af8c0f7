import DoraTensor
import DoraText

/// What is served as the files say but may not be what their owner thinks.
extension AdapterAssembly {
    func warnings(baseName: String?) -> [LoadWarning] {
        configuration.method.warnings(configuration) + baseWarning(baseName) + precisionWarning()
            + tiedWarning() + savedWarning() + unlistedWarning() + visionWarning()
    }

    private func visionWarning() -> [LoadWarning] {
        tensors.visionTensors == 0
            ? []
            : [
                LoadWarning(
                    "\(tensors.path): \(tensors.visionTensors) tensors for the part that sees pictures are left out:"
                        + " they do not act on text")
            ]
    }

    /// - Throws: `LoadError` unless the adapter says that it was trained on this base.
    func checkBase(_ baseName: String?) throws(LoadError) {
        let trained = configuration.baseModelName
        if let baseName, let trained, Self.last(trained) == Self.last(baseName) { return }
        throw LoadError(
            .mismatch, file: configuration.file, field: "base_model_name_or_path",
            "trained on \(trained ?? "a base that it does not name"), and the weights of this one were scaled when they were"
                + " quantized: they are not near those of any other",
            advice: "serve it with the base on which it was trained, or give --accept-other-base")
    }

    /// Only the last parts of the names count: the rest is a user or a folder.
    private static func last(_ name: String) -> String? { name.split(separator: "/").last?.lowercased() }

    private func baseWarning(_ baseName: String?) -> [LoadWarning] {
        guard let baseName, let trained = configuration.baseModelName, let name = Self.last(trained),
            name != Self.last(baseName)
        else { return [] }
        return [
            LoadWarning(
                "\(configuration.file): base_model_name_or_path: trained on \(trained), served on \(baseName)"
            )
        ]
    }

    private func precisionWarning() -> [LoadWarning] {
        guard configuration.usesDoRA,
            let tensor = tensors.byKey.first(where: {
                $0.key.part.isUpdate && $0.value.elementType != .f32
            })?.value
        else { return [] }
        return [
            LoadWarning(
                "\(tensor.file): DoRA weights in \(tensor.elementType.rawValue): norms are computed in F32 here;"
                    + " a training that computed them in 16 bits differs by up to a percent")
        ]
    }

    private func tiedWarning() -> [LoadWarning] {
        func changes(_ module: String) -> Bool {
            tensors.isAdapted(module) || tensors[module, .weight] != nil
        }
        guard inventory.tiesWordEmbeddings,
            changes(ModuleInventory.embedding) != changes(ModuleInventory.head)
        else { return [] }
        let (changed, kept) =
            changes(ModuleInventory.head)
            ? (ModuleInventory.head, ModuleInventory.embedding)
            : (ModuleInventory.embedding, ModuleInventory.head)
        return [
            LoadWarning(
                "\(tensors.path): \(changed) is adapted and \(kept), tied to it in the base, is not;"
                    + " they are served apart, as in training")
        ]
    }

    private func savedWarning() -> [LoadWarning] {
        let unknown = configuration.savedModules.filter { name in
            !inventory.modules.contains { module in
                module.name.hasSuffix(name) || module.name.split(separator: ".").contains { $0 == name }
            }
        }
        if unknown.isEmpty { return [] }
        return [
            LoadWarning(
                "\(configuration.file): modules_to_save: the base has no module \(unknown.firstAndCount)",
                details: unknown.map { "modules_to_save: the base has no module \($0)" })
        ]
    }

    /// PEFT loads such tensors, too.
    private func unlistedWarning() -> [LoadWarning] {
        guard configuration.savedModules.isEmpty, configuration.bias == .none else { return [] }
        let names = tensors.byKey.filter { $0.key.part == .weight || $0.key.part == .bias }.map(\.value.name)
            .sorted()
        if names.isEmpty { return [] }
        return [
            LoadWarning(
                "\(tensors.path): \(names.firstAndCount): in place of base tensors, unmentioned in the configuration",
                details: names.map { "\($0): replaces a base tensor, unmentioned in the configuration" })
        ]
    }
}
