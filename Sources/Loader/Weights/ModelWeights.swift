package import DoraTensor

/// The weights of a model, ready to run. A value: an adapted model is a copy with a few matrices replaced, and the
/// others are the same objects as the base's.
package struct ModelWeights: Sendable {
    package var embedding: Embedding
    package var layers: [LayerWeights]
    package var finalNorm: Norm
    /// `[vocabularySize, hiddenSize]`; an adapter may have another number of tokens than its base.
    package var head: Linear

    /// Tokens that have a logit: rows of the head.
    package var vocabularySize: Int { head.matrix.rows }

    /// Bytes of the matrices, which a decode step reads.
    package var matrixBytes: Int { matrices.reduce(0) { $0 + $1.byteCount } }

    /// Bytes of what a factored adapter has beside the matrices.
    package var partBytes: Int {
        layers.reduce(head.part?.byteCount ?? 0) { sum, layer in
            layer.parts.reduce(sum) { $0 + $1.byteCount }
        }
    }

    /// Bytes of the matrices that lie in a packed file. The system counts their pages as free, as it could read them
    /// again.
    package var mappedBytes: Int { matrices.reduce(0) { $0 + ($1.isMapped ? $1.byteCount : 0) } }

    /// Those of all layers, then the head's.
    package var matrices: [PackedMatrix] { layers.flatMap(\.matrices) + [head.matrix] }
}

package struct LayerWeights: Sendable {
    /// Indexed by `NormPlace`; empty where none stands.
    private var norms: [Norm]
    /// Indexed by `Projection`.
    private var projections: [Linear?]

    /// Norms with weights of one, and no linear maps yet.
    init(_ configuration: ModelConfiguration) {
        let (heads, size) = (configuration.attentionHeads, configuration.headSize)
        norms = NormPlace.allCases.map { place in
            guard configuration.hasNorm(place) else { return Norm(count: 0) }
            let isShared = configuration.queryKeyNorm.map { !$0.isWhole && !$0.isDistinct } == true
            return switch place {
            case .query: Norm(count: isShared ? size : heads * size)
            case .key: Norm(count: isShared ? size : configuration.keyValueHeads * size)
            default: Norm(count: configuration.hiddenSize)
            }
        }
        projections = Projection.allCases.map { _ in nil }
    }

    package subscript(_ projection: Projection) -> Linear? {
        get { projections[projection.rawValue] }
        set { projections[projection.rawValue] = newValue }
    }

    package subscript(_ place: NormPlace) -> Norm {
        get { norms[place.rawValue] }
        set { norms[place.rawValue] = newValue }
    }

    /// In the order of `Projection`.
    package var matrices: [PackedMatrix] { projections.compactMap { $0?.matrix } }
    package var parts: [LowRankPart] { projections.compactMap { $0?.part } }
}

/// The numbers of a norm, as they are multiplied and added.
package struct Norm: Sendable, Equatable {
    package internal(set) var weight: [Float]
    package internal(set) var bias: [Float]?

    /// Ones, and no bias.
    init(count: Int) { weight = [Float](repeating: 1, count: count) }
}

/// y = x W^T + bias, where W is the matrix, with what a factored adapter has beside it.
package struct Linear: Sendable {
    package var matrix: PackedMatrix
    /// Nil in the base, and where an adapter is merged into the matrix.
    package var part: LowRankPart?
    /// `[matrix.rows]`.
    package var bias: [Float]?

    /// How the matrix is stored, for people.
    package var formatName: String { matrix.format.name }
}

/// Token embeddings `[vocabularySize, hiddenSize]`, read row by row where they lie.
package struct Embedding: Sendable {
    let source: any WeightSource

    /// The row's pages are given back: the kernel maps sixteen around each, which a long prompt would add up to a
    /// large part of the table.
    package func read(_ token: Int, into out: UnsafeMutablePointer<Float>, on compute: Compute) {
        source.decode(rows: token..<token + 1, into: out, on: compute)
        source.dropPages(rows: token..<token + 1)
    }
}
