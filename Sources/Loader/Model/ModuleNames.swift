/// The modules of one layer, as a family names them.
struct ModuleNames {
    private typealias Module = ModuleInventory.Module

    private let configuration: ModelConfiguration
    private let family: ModelFamily
    private let hidden: Int
    private let queries: Int
    private let keys: Int

    init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        family = configuration.family
        hidden = configuration.hiddenSize
        queries = configuration.attentionHeads * configuration.headSize
        keys = configuration.keyValueHeads * configuration.headSize
    }

    /// In the order of use: norms stand before the linear maps that read them, and behind those that write to them.
    func layer(_ index: Int) -> [ModuleInventory.Module] {
        let layer = "model.layers.\(index)"
        let parts: [[Module]] = [
            norm(.beforeAttention, index, layer),
            linear([.queryKeyValue, .query, .key, .value], index, layer),
            queryKeyNorms(index, layer),
            linear([.output], index, layer),
            norm(.afterAttention, index, layer),
            norm(.beforeFeedForward, index, layer),
            linear([.gateUp, .gate, .up, .down], index, layer),
            norm(.afterFeedForward, index, layer),
        ]
        return parts.flatMap { $0 }
    }

    var finalNorm: [ModuleInventory.Module] {
        guard family.norms.hasWeight else { return [] }
        return [
            Module(
                name: family.norms.final, kind: .norm, outputs: hidden, inputs: hidden,
                hasBias: family.norms.hasBias, place: .finalNorm)
        ]
    }

    private func linear(_ projections: [Projection], _ layer: Int, _ name: String) -> [ModuleInventory.Module]
    {
        projections.compactMap { projection in
            family.projections[projection].map {
                Module(
                    name: "\(name).\($0)", kind: .linear, outputs: outputs(of: projection),
                    inputs: inputs(of: projection), hasBias: hasBias(projection),
                    place: .projection(layer: layer, projection))
            }
        }
    }

    private func outputs(of projection: Projection) -> Int {
        switch projection {
        case .queryKeyValue: queries + 2 * keys
        case .query: queries
        case .key, .value: keys
        case .output, .down: hidden
        case .gateUp: 2 * configuration.intermediateSize
        case .gate, .up: configuration.intermediateSize
        }
    }

    private func inputs(of projection: Projection) -> Int {
        switch projection {
        case .output: queries
        case .down: configuration.intermediateSize
        default: hidden
        }
    }

    private func hasBias(_ projection: Projection) -> Bool {
        switch projection {
        case .queryKeyValue, .query, .key, .value: configuration.biases.input
        case .output: configuration.biases.output
        case .gateUp, .gate, .up, .down: configuration.biases.feedForward
        }
    }

    private func norm(_ place: NormPlace, _ layer: Int, _ name: String) -> [ModuleInventory.Module] {
        guard family.norms.hasWeight, let own = configuration.normName(place) else { return [] }
        return [
            Module(
                name: "\(name).\(own)", kind: .norm, outputs: hidden, inputs: hidden,
                hasBias: family.norms.hasBias, place: .norm(layer: layer, place, first: 0))
        ]
    }

    private func queryKeyNorms(_ layer: Int, _ name: String) -> [ModuleInventory.Module] {
        guard configuration.queryKeyNorm != nil, let norm = family.queryKeyNorm else { return [] }
        let size = configuration.headSize
        let sides: [(NormPlace, String, Int)] = [
            (.query, norm.query, configuration.attentionHeads), (.key, norm.key, configuration.keyValueHeads),
        ]
        return sides.flatMap { place, own, heads in
            func module(_ name: String, outputs: Int, inputs: Int, first: Int = 0) -> Module {
                Module(
                    name: name, kind: .norm, outputs: outputs, inputs: inputs, hasBias: norm.hasBias,
                    place: .norm(layer: layer, place, first: first), isPerHead: norm.shape == .perHeadDistinct
                )
            }
            let name = "\(name).\(own)"
            switch norm.shape {
            case .perHead: return [module(name, outputs: size, inputs: size)]
            case .whole: return [module(name, outputs: heads * size, inputs: heads * size)]
            case .perHeadDistinct: return [module(name, outputs: heads * size, inputs: size)]
            case .perHeadModules:
                return (0..<heads).map {
                    module("\(name).norms.\($0)", outputs: size, inputs: size, first: $0 * size)
                }
            }
        }
    }
}

extension ModelConfiguration {
    /// Within the layer; nil where no norm stands.
    func normName(_ place: NormPlace) -> String? {
        // What both halves read is normed once.
        isParallel && place == .beforeFeedForward ? nil : family.norms.names[place]
    }

    /// Whether a layer has a norm there.
    package func hasNorm(_ place: NormPlace) -> Bool {
        switch place {
        case .query, .key: queryKeyNorm != nil
        default: normName(place) != nil
        }
    }

    /// Whether a layer has this linear map.
    package func has(_ projection: Projection) -> Bool { family.projections[projection] != nil }
}
