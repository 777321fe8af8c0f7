import DoraTensor

/// How the models of one `model_type` are built and what their configurations mean: names of modules, norms and where
/// they stand, rotary embedding, windows, scalings, and the values of keys that a file leaves out.
///
/// The defaults here are Llama's; a family is a value with some fields set, in a file of its own in this folder, and
/// `ModelFamily.all` finds it. Nothing behind the reading of a configuration knows a family: `ModelConfiguration` holds
/// numbers, `ModuleInventory` names and shapes.
package struct ModelFamily: Sendable, Equatable {
    /// `model_type`.
    let type: String
    /// What `architectures` may say.
    let architectures: [String]

    /// `model_type` of the models that are this and no more, where this is but the text part of one that sees pictures.
    var plainType: String?

    /// Names of a layer's linear maps, within the layer. `queryKeyValue` and `gateUp` are several in one, row by row.
    var projections: [Projection: String] = [
        .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj",
        .output: "self_attn.o_proj", .gate: "mlp.gate_proj", .up: "mlp.up_proj", .down: "mlp.down_proj",
    ]
    var biases = Biases()
    var activation = ActivationKey()
    var norms = Norms()
    var queryKeyNorm: QueryKeyNorm?
    var residual = Residual.sequential
    var heads = Heads()
    var rope = Rope()
    var windows = Windows.none
    var scales = Scales()
    /// Context length if the file does not say.
    var positions = 2048
    /// `tie_word_embeddings` if the file does not say.
    var isTied = false
    /// `eos_token_id` if no file says.
    var ends: [Int] = []
    /// Keys that the family's files may hold though they change nothing.
    var ignoredKeys: Set<String> = []
}

// What the fields are made of.
extension ModelFamily {
    /// A yes or no of the configuration.
    enum Flag: Equatable, Sendable {
        case always(Bool)
        case key(String, absent: Bool = false)
    }

    /// A number of the configuration; null is none.
    enum Number: Equatable, Sendable {
        case constant(Double)
        case key(String, absent: Double? = nil)
    }

    /// Which linear maps have biases.
    struct Biases: Equatable, Sendable {
        /// Of queries, keys and values.
        var input = Flag.always(false)
        var output = Flag.always(false)
        var feedForward = Flag.always(false)
        var head = Flag.always(false)
    }

    struct ActivationKey: Equatable, Sendable {
        var key = "hidden_act"
        var absent = Activation.silu
        /// Names that mean something else than elsewhere.
        var readings: [String: Activation] = [:]
    }

    struct Norms: Equatable, Sendable {
        var kind = NormKind.rms
        /// Within the layer; a place without a name has no norm.
        var names: [NormPlace: String] = [
            .beforeAttention: "input_layernorm", .beforeFeedForward: "post_attention_layernorm",
        ]
        var final = "model.norm"
        var hasWeight = true
        var hasBias = false
        /// What is added to stored weights.
        var offset: Float = 0
        var epsilon = Number.key("rms_norm_eps", absent: 1e-6)
    }

    /// Norms of queries and keys, of the same kind as the others.
    struct QueryKeyNorm: Equatable, Sendable {
        enum Shape: Equatable, Sendable {
            /// One weight `[headSize]` for all heads.
            case perHead
            /// A weight of its own for each head: `[heads, headSize]`.
            case perHeadDistinct
            /// The same, each head's in a module `norms.N` of its own.
            case perHeadModules
            /// All heads as one vector.
            case whole
        }

        var shape = Shape.perHead
        var query = "self_attn.q_norm"
        var key = "self_attn.k_norm"
        /// After the rotary embedding, else before it.
        var isAfterRope = false
        var hasBias = false
        var flag = Flag.always(true)
    }

    /// How the two halves of a layer follow each other.
    enum Residual: Equatable, Sendable {
        /// The feed-forward network reads what attention has added to.
        case sequential
        /// Both read the same normed input, and both are added to what it was made from.
        case parallel(Flag)
    }

    struct Heads: Equatable, Sendable {
        enum Size: Equatable, Sendable {
            /// `head_dim`; absent, the number here, else hidden size / heads. Null is always that.
            case key(absent: Int? = nil)
            /// Hidden size / heads; `head_dim` may only repeat it.
            case derived
        }

        /// `num_key_value_heads` if absent; nil is as many as there are heads, which null always is.
        var keyValue: Int?
        var size = Size.key()
    }

    struct Rope: Equatable, Sendable {
        /// Which layers use which table.
        enum Layers: Equatable, Sendable {
            case all
            /// Sliding layers have a plain table of their own: `rope_parameters.sliding_attention`, or the theta of a key.
            case byType(slidingThetaKey: String?, absent: Double)
            /// Only those that slide; or all, where the model has no window and `elseAll` says so.
            case sliding(elseAll: Bool)
            /// Those with a 1 in the list; without it, all but every `interval`-th.
            case listed(String, interval: String, absent: Int)
        }

        /// `rope_theta` if absent.
        var theta = 10_000.0
        var isInterleaved = false
        /// `partial_rotary_factor` if absent, in families that have it.
        var fraction: Double?
        var layers = Layers.all
        /// Scaling types under other names.
        var aliases: [String: String] = [:]
        /// `original_max_position_embeddings` of the configuration if absent; it then stands there, not among the
        /// parameters.
        var originalPositions: Int?
        /// `rope_parameters` if absent.
        var absent: RopeParameters?
        /// Among the parameters: queries grow by it behind the original context.
        var queryGrowthKey: String?
        /// How they grow without parameters.
        var queryGrowth: QueryGrowth?
        /// Among the parameters of type dynamic: a fixed stretch instead.
        var alphaKey: String?
    }

    /// Which layers see how many keys.
    struct Windows: Equatable, Sendable {
        /// Which layers slide where `layer_types` does not say.
        enum Pattern: Equatable, Sendable {
            case all
            /// All but every n-th; n may stand under a key.
            case allBut(every: Int, key: String? = nil)
            /// From the layer on whose index stands under a key.
            case from(String, absent: Int)
            /// Those without rotary embedding.
            case unrotated
        }

        /// Nil: no layer slides.
        var key: String?
        /// The window if absent.
        var absent: Int?
        /// If false, there is no window.
        var flag = Flag.always(true)
        var pattern = Pattern.all
        /// Whether `layer_types` is read.
        var readsTypes = true

        static let none = Windows(key: nil, readsTypes: false)
    }

    struct Scales: Equatable, Sendable {
        enum Embedding: Equatable, Sendable {
            case none
            case rootOfHiddenSize
            case times(Number)
        }

        enum Attention: Equatable, Sendable {
            /// 1 / sqrt(headSize)
            case headSize
            /// 1 / sqrt of a number
            case inverseRoot(Number)
            case times(Number)
        }

        enum Logits: Equatable, Sendable {
            case none
            case times(Number)
            case over(Number)
        }

        var embedding = Embedding.none
        var attention = Attention.headSize
        /// Of what a half of a layer adds.
        var residual = Number.constant(1)
        var logits = Logits.none
        /// Soft caps of scores and of logits.
        var attentionCap: Number?
        var finalCap: Number?
        /// Most magnitude of queries, keys and values.
        var clip: Number?
    }
}

/// The kind of a model's norms.
package enum NormKind: Equatable, Sendable {
    case rms, layer
}

/// Where a layer's norms stand.
package enum NormPlace: Int, CaseIterable, Sendable {
    case beforeAttention, query, key, afterAttention, beforeFeedForward, afterFeedForward
}

/// The linear maps of one layer, in the order in which they are used. A layer has either the parts or the whole of
/// `queryKeyValue` and `gateUp`, and a plain feed-forward network no gate.
package enum Projection: Int, CaseIterable, Sendable {
    case queryKeyValue, query, key, value, output, gateUp, gate, up, down
}
