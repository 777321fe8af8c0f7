import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// Whose logits are wanted decides what is computed, and nothing else: of other tokens the last layer makes keys and values
/// alone.
@Suite struct WantedLogitsTests {
    /// In parallel layers, with fused projections, with norms before and after the rotation, clipped, growing, windowed.
    @Test(arguments: [
        "bases/gqa-f32", "bases/int8", "bases/nf4-ragged", "bases/f16", "families/phi/base",
        "families/cohere/base", "families/cohere2/base", "families/phi3/base", "families/glm4/base",
        "families/qwen3/base", "families/hunyuan_v1_dense/base", "families/olmo/base", "families/olmo2/base",
        "families/gemma3_text/base", "families/ministral3/base", "families/stablelm/base",
        "families/llama-longrope/base",
    ]) func othersDoNotShow(model: String) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path(model), on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        let texts = (0..<4).map { text in (0..<(29 + text)).map { 3 + ($0 * $0 + 5 * text) % 41 } }
        let wanted: [StepPart.Wanted] = [.none, .tail(3), .all, .last]
        let all = try logits(pass, base, texts, steps: [texts.map { _ in .all }])
        let some = try logits(pass, base, texts, steps: [wanted])
        for text in texts.indices {
            let first = [29, 27, 0, 31][text]
            #expect(some[text] == all[text].filter { $0.key >= first })
        }
        // The keys and values of a step that nobody wants logits of are there for the next.
        let later = try logits(pass, base, texts, steps: [texts.map { _ in .none }, texts.map { _ in .all }])
        for text in texts.indices {
            let second = texts[text].count / 2
            #expect(later[text] == all[text].filter { $0.key >= second })
        }
    }

    /// - Parameter steps: what is wanted of each text, which goes through them in equal parts.
    /// - Returns: of each text, by the token's place.
    private func logits(
        _ pass: ForwardPass, _ base: BaseModel, _ texts: [[Int]], steps: [[StepPart.Wanted]]
    ) throws -> [[Int: [Float]]] {
        var states = texts.map { _ in SequenceState(pass.geometry) }
        var found = texts.map { _ in [Int: [Float]]() }
        for (index, wanted) in steps.enumerated() {
            let starts = states.map(\.count)
            let parts = try texts.indices.map { text in
                let count = texts[text].count
                let end = index == steps.count - 1 ? count : count / steps.count
                return try StepPart(
                    weights: base.weights, extending: &states[text], by: texts[text][starts[text]..<end],
                    logits: wanted[text], following: count - end, in: pass.heap)
            }
            try pass.step(parts) { part, token, logits in found[part][starts[part] + token] = Array(logits) }
        }
        return found
    }
}
