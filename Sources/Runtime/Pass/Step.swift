package import DoraLoader
package import DoraTensor

/// What one sequence has computed in a step: tokens at the positions behind its cache's.
package struct StepPart {
    /// Which tokens' logits are wanted.
    package enum Wanted {
        case none
        case last
        case all
    }

    package let weights: ModelWeights
    package let cache: KeyValueCache
    package let tokens: ArraySlice<Int>
    package let logits: Wanted
    /// Of the sequence, with those of its tokens that are known to follow: some models rotate by it.
    let length: Int

    /// - Parameter following: tokens of a prompt that later steps will compute.
    package init(
        weights: ModelWeights, cache: KeyValueCache, tokens: ArraySlice<Int>, logits: Wanted,
        following: Int = 0
    ) {
        self.weights = weights
        self.cache = cache
        self.tokens = tokens
        self.logits = logits
        length = cache.count + tokens.count + following
    }

    /// Offsets into `tokens`.
    var wantedTokens: Range<Int> {
        switch logits {
        case .none: tokens.count..<tokens.count
        case .last: tokens.count - 1..<tokens.count
        case .all: 0..<tokens.count
        }
    }
}

/// The rows of a step that belong to one sequence.
struct StepRows {
    let weights: ModelWeights
    let rows: Range<Int>
}

/// A step as the layers see it.
struct LayerStep {
    let parts: [StepRows]
    let attention: Attention
    /// Of each row.
    let positions: [Int]
    /// By rotary table: the angles of each row.
    let angles: [[UnsafePointer<Float>]]

    var tokens: Int { positions.count }
}
