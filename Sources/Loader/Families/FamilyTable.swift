extension ModelFamily {
    /// Every family, by `model_type`. Models that see pictures have one of these inside: `MultimodalModel`.
    static let all: [ModelFamily] = [llama]
}
