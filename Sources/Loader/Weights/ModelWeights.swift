package import DoraTensor

/// The weights of a model, ready to run. A value: an adapted model is a copy with a few matrices replaced, and the
/// others are the same objects as the base's.
package struct ModelWeights: Sendable {
    package var embedding: Embedding
    package var layers: [LayerWeights]
    /// `[hiddenSize]`.
    package var finalNorm: [Float]
    /// `[vocabularySize, hiddenSize]`; an adapter may have another number of tokens than its base.
    package var head: Linear

    /// Tokens that have a logit: rows of the head.
    package var vocabularySize: Int { head.matrix.rows }

    /// Bytes of the matrices, which a decode step reads.
    package var matrixBytes: Int { matrices.reduce(0) { $0 + $1.byteCount } }

    /// Bytes of the matrices that lie in a packed file. The system counts their pages as free, as it could read them
    /// again.
    package var mappedBytes: Int { matrices.reduce(0) { $0 + ($1.isMapped ? $1.byteCount : 0) } }

    private var matrices: [PackedMatrix] { layers.flatMap { $0.projections.map(\.matrix) } + [head.matrix] }
}

package struct LayerWeights: Sendable {
    /// `[hiddenSize]`.
    package var inputNorm: [Float]
    /// `[hiddenSize]`.
    package var postAttentionNorm: [Float]
    /// Indexed by `Projection`.
    var projections: [Linear]

    package subscript(_ projection: Projection) -> Linear {
        get { projections[projection.rawValue] }
        set { projections[projection.rawValue] = newValue }
    }
}

/// The linear maps of one layer, in the order in which they are used.
package enum Projection: Int, CaseIterable, Sendable {
    case query, key, value, output, gate, up, down

    /// The module's name within its layer, as Hugging Face spells it.
    package var name: String {
        switch self {
        case .query: "self_attn.q_proj"
        case .key: "self_attn.k_proj"
        case .value: "self_attn.v_proj"
        case .output: "self_attn.o_proj"
        case .gate: "mlp.gate_proj"
        case .up: "mlp.up_proj"
        case .down: "mlp.down_proj"
        }
    }
}

/// y = x W^T + bias.
package struct Linear: Sendable {
    package var matrix: PackedMatrix
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
