package import DoraLoader

/// What a generation is made of: files, and the form in which they act. The same files in another form answer in other bits.
package struct AdapterContent: Hashable, Sendable {
    /// Equal for equal files, the tokenizer included.
    package let digest: String
    package let form: AdapterForm

    package init(digest: String, form: AdapterForm) {
        self.digest = digest
        self.form = form
    }
}
