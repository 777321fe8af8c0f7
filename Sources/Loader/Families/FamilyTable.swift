extension ModelFamily {
    /// Every family, by `model_type`. Models that see pictures have one of these inside: `MultimodalModel`.
    static let all: [ModelFamily] = [
        llama, mistral, ministral, ministral3, qwen2, qwen3, qwen2VL, qwen25VL, qwen3VL, gemma, gemma2,
        gemma3,
        phi, phi3, smollm3, granite, olmo, olmo2, olmo3, cohere, cohere2, glm, glm4, exaone4, seedOSS,
        hunyuan,
        ernie, starcoder2, stablelm, nemotron,
    ]
}
