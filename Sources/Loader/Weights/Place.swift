/// Where a module's weights stand in `ModelWeights`.
enum Place: Equatable, Sendable {
    case embedding
    case projection(layer: Int, Projection)
    /// - first: the first of the norm's numbers that are the module's.
    case norm(layer: Int, NormPlace, first: Int)
    case finalNorm
    case head
}

extension ModelWeights {
    /// Changes the linear map at a place, if one stands there.
    mutating func changeLinear(at place: Place, _ change: (inout Linear) -> Void) {
        switch place {
        case .head: change(&head)
        case .projection(let layer, let projection):
            guard layers.indices.contains(layer), var linear = layers[layer][projection] else { return }
            change(&linear)
            layers[layer][projection] = linear
        case .embedding, .norm, .finalNorm: return
        }
    }

    /// The linear map at a place, if one stands there.
    func linear(at place: Place) -> Linear? {
        switch place {
        case .head: head
        case .projection(let layer, let projection):
            layers.indices.contains(layer) ? layers[layer][projection] : nil
        case .embedding, .norm, .finalNorm: nil
        }
    }

    /// Sets numbers of the norm at a place; nil keeps them.
    mutating func setNorm(at place: Place, weight: [Float]?, bias: [Float]?) {
        switch place {
        case .finalNorm: finalNorm.set(weight: weight, bias: bias, from: 0)
        case .norm(let layer, let norm, let first):
            guard layers.indices.contains(layer) else { return }
            layers[layer][norm].set(weight: weight, bias: bias, from: first)
        case .embedding, .projection, .head: return
        }
    }
}

extension Norm {
    fileprivate mutating func set(weight: [Float]?, bias: [Float]?, from first: Int) {
        if let weight { Self.replace(&self.weight, weight, from: first) }
        if let bias {
            var own = self.bias ?? [Float](repeating: 0, count: self.weight.count)
            Self.replace(&own, bias, from: first)
            self.bias = own
        }
    }

    private static func replace(_ values: inout [Float], _ new: [Float], from first: Int) {
        guard first >= 0, first + new.count <= values.count else { return }
        values.replaceSubrange(first..<first + new.count, with: new)
    }
}
