import DoraLoader

@testable import DoraRuntime

extension Language {
    /// Of a base without a tokenizer, in which nothing ends a text.
    convenience init(of base: BaseModel) {
        self.init(tokenizer: nil, vocabularySize: base.weights.vocabularySize, eosIDs: [])
    }
}
