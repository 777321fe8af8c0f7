/// Where a module's weights stand in `ModelWeights`.
enum Place {
    case projection(layer: Int, Projection)
    case inputNorm(layer: Int)
    case postAttentionNorm(layer: Int)
    case finalNorm
    case head

    /// - Parameter module: a name of the inventory; nil for the embedding and for unknown names.
    init?(_ module: String) {
        switch module {
        case ModuleInventory.head: self = .head
        case "model.norm": self = .finalNorm
        default:
            let parts = module.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0] == "model", parts[1] == "layers", let layer = Int(parts[2])
            else {
                return nil
            }
            switch String(parts[3]) {
            case "input_layernorm": self = .inputNorm(layer: layer)
            case "post_attention_layernorm": self = .postAttentionNorm(layer: layer)
            case let name:
                guard let projection = Projection.allCases.first(where: { $0.name == name }) else {
                    return nil
                }
                self = .projection(layer: layer, projection)
            }
        }
    }
}
