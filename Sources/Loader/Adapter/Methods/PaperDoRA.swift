import DoraText

/// DoRA as its paper's authors save it (NVlabs/DoRA, `peft/src/peft/tuners/dora.py`, a fork of PEFT 0.3): LoRA's names,
/// magnitudes called `weight_m_wdecomp`, and modules of which the magnitude alone is trained. The same function as
/// PEFT's DoRA: one norm per output row.
struct PaperDoRA: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "DORA", title: "DoRA",
        read: magnitudeKeys.union(["r", "lora_alpha"]),
        harmless: ["lora_dropout", "dora_simple", "merge_weights"],
        refused: [
            LoRA.fanInFanOut,
            ("enable_lora", "fused projections exist in GPT-2 models only", "train without enable_lora"),
        ],
        defaultRank: 8, alpha: "lora_alpha", isDoRA: true, matchesEndings: true)

    /// Modules whose rows are scaled to trained magnitudes and not changed otherwise.
    static let magnitudeKeys: Set<String> = ["Wdecompose_target_modules", "wdecompose_target_modules"]

    init(_ fields: JSONFields) {}

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        guard assembly.matching.scalesAlone(module.name) else {
            return try LoRA().update(of: module, in: assembly)
        }
        try assembly.requireLinear(module, Self.vocabulary.title)
        for part in [AdapterKey.Part.a, .b] {
            if let tensor = assembly.tensors[module.name, part] {
                throw LoadError(
                    .mismatch, file: tensor.file, field: tensor.name,
                    "the configuration trains this module's magnitudes alone, but the file holds a factor",
                    advice: "use the configuration that was saved with the weights")
            }
        }
        return LowRankUpdate(
            rank: 0, scaling: 0, a: [], b: [], magnitude: try LoRA.magnitude(of: module, in: assembly),
            outputBias: nil)
    }
}
