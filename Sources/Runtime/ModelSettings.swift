package import DoraLoader
package import DoraTensor

/// Which model to run and how to hold it: what the command line says, and nothing of what it asks of the model.
package struct ModelSettings: Sendable {
    /// How finely integer weights see activations.
    package enum Activations: String, Sendable, CaseIterable {
        /// Int8 in blocks of 64.
        case eight = "8"
        /// 15 bits, in effect.
        case sixteen = "16"
        /// 8 bits, and 16 for the blocks whose rounding would show.
        case auto

        package var secondTerms: SecondTerms {
            switch self {
            case .eight: .none
            case .sixteen: .all
            case .auto: .peaks
            }
        }
    }

    /// How keys and values are cached.
    package typealias Cache = KeyValueFormat

    package var model: String
    package var adapter: String?
    package var quantization: Quantization?
    package var storage: StorageOptions
    /// Nil: F32 with F32 weights, else F16.
    package var cache: KeyValueFormat?
    package var activations: Activations
    package var context: Int?
    /// File of a chat template that stands for those of the model and of all adapters.
    package var chatTemplate: String?
    /// Where the tokenizer and the chat template lie, if not with the model.
    package var tokenizer: String?
    /// Whether adapters of other bases are served even where the base's weights are scaled otherwise.
    package var acceptsOtherBase = false
    /// Tokens that a sequence guesses in a step, at most; 0 for none.
    package var guesses = ModelSettings.standardGuesses
    package static let standardGuesses = Speculation.standardLimit
    /// Nil: the cores that this process may use.
    package var threads: Int?

    package init(
        model: String, adapter: String? = nil, quantization: Quantization? = nil,
        storage: StorageOptions = StorageOptions(), cache: KeyValueFormat? = nil,
        activations: Activations = .auto, context: Int? = nil, threads: Int? = nil,
        chatTemplate: String? = nil, tokenizer: String? = nil
    ) {
        self.model = model
        self.adapter = adapter
        self.quantization = quantization
        self.storage = storage
        self.cache = cache
        self.activations = activations
        self.context = context
        self.chatTemplate = chatTemplate
        self.tokenizer = tokenizer
        self.threads = threads
    }

    package var keyValueFormat: KeyValueFormat { cache ?? (storage.weights == .f32 ? .f32 : .f16) }
}
