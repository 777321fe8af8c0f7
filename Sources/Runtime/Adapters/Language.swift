package import DoraText

/// How one generation reads and writes: its tokenizer and chat template, the tokens that it knows, and what ends an answer. Generations
/// that read and write alike share one object.
package final class Language: Sendable {
    /// Nil where there is none: prompts are token ids then.
    package let tokenizer: (any Tokenizer)?
    /// Nil where there is no chat template.
    package let chat: ChatFormat?
    /// Rows of the embedding and of the head.
    package let vocabularySize: Int
    package let eosIDs: [Int]
    /// Of the files of a tokenizer that came with an adapter; nil for the base's.
    package let digest: String?
    /// Memory that such a tokenizer takes, about four times its files (measured on one of 120,000 tokens); else 0.
    package let byteCount: Int

    package init(
        tokenizer: (any Tokenizer)?, chat: ChatFormat? = nil, vocabularySize: Int, eosIDs: [Int],
        digest: String? = nil, fileBytes: Int = 0
    ) {
        self.tokenizer = tokenizer
        self.chat = chat
        self.vocabularySize = vocabularySize
        self.eosIDs = eosIDs
        self.digest = digest
        byteCount = 4 * fileBytes
    }
}
