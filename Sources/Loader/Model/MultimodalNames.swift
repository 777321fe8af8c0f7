/// How models that also see pictures spell the names of their language model's modules and tensors, and which names are
/// none of its.
///
/// Files and adapters of one model may differ: transformers 4.52 moved the language model, and writes old names still.
enum MultimodalNames: Sendable {
    /// `model.layers.0`, as without pictures.
    case plain
    /// `model.language_model.layers.0`
    case inner
    /// `language_model.model.layers.0`
    case outer

    /// The spelling of an adapter's or a checkpoint's tensor; nil where its name does not tell.
    init?(_ tensor: String) {
        if tensor.contains("language_model.model.") {
            self = .outer
        } else if tensor.contains("model.language_model.") {
            self = .inner
        } else {
            return nil
        }
    }

    /// A module's name so spelled.
    func spelled(_ module: String) -> String {
        switch self {
        case .plain: module
        case .inner:
            module.hasPrefix("model.") ? "model.language_model." + module.dropFirst("model.".count) : module
        case .outer: "language_model." + module
        }
    }

    /// The name in the plain spelling.
    static func plain(_ name: String) -> String {
        for (spelling, plain) in [
            ("model.language_model.", "model."), ("language_model.model.", "model."),
            ("language_model.lm_head", "lm_head"),
        ] where name.hasPrefix(spelling) {
            return plain + name.dropFirst(spelling.count)
        }
        return name
    }

    /// Whether it belongs to what sees, or hands on what is seen.
    static func isVision(_ name: String) -> Bool {
        let name = name.hasPrefix("model.") ? name.dropFirst("model.".count) : name[...]
        return [
            "vision_tower.", "vision_model.", "visual.", "multi_modal_projector.", "image_newline",
            "vision_embed_tokens.",
        ].contains { name.hasPrefix($0) }
    }
}
