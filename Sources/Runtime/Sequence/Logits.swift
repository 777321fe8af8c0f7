#if canImport(Glibc)
import Glibc
#endif

/// What is read off one row of logits.
enum Logits {
    /// The id of the largest logit; the lowest id wins a tie.
    /// - Throws: `RuntimeError.notFinite` when any logit is NaN or infinite: the weights are damaged.
    static func greedy(_ logits: UnsafeBufferPointer<Float>) throws(RuntimeError) -> Int {
        var best = 0
        var largest = -Float.infinity
        var isFinite = true
        for (id, logit) in logits.enumerated() {
            if logit > largest {
                largest = logit
                best = id
            }
            isFinite = isFinite && logit.isFinite
        }
        guard isFinite else { throw .notFinite }
        return best
    }

    /// The natural logarithm of a token's probability, and of the `top` likeliest (ties: lowest id first).
    static func probabilities(
        of id: Int, in logits: UnsafeBufferPointer<Float>, top: Int
    ) -> TokenLogprob {
        probabilities(of: CollectionOfOne(id), in: logits, top: top)[0]
    }

    /// The same of several tokens that may stand at one place.
    static func probabilities(
        of ids: some Collection<Int>, in logits: UnsafeBufferPointer<Float>, top: Int
    ) -> [TokenLogprob] {
        let largest = Double(logits.max() ?? 0)
        let sum = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
        let normalizer = largest + log(sum)
        func logprob(_ id: Int) -> Double { Double(logits[id]) - normalizer }
        let likeliest = likeliest(top, in: logits).map {
            TokenLogprob.Alternative(id: $0, logprob: logprob($0))
        }
        return ids.map { TokenLogprob(id: $0, logprob: logprob($0), top: likeliest) }
    }

    /// One pass over the vocabulary: sorting all of it for a thousand would keep every sequence of the batch waiting.
    private static func likeliest(_ count: Int, in logits: UnsafeBufferPointer<Float>) -> [Int] {
        guard count > 0 else { return [] }
        var best: [Int] = []
        for (id, logit) in logits.enumerated() {
            if best.count == count, let last = best.last, logit <= logits[last] { continue }
            var place = 0
            var end = best.count
            while place < end {
                let middle = (place + end) / 2
                if logits[best[middle]] < logit { end = middle } else { place = middle + 1 }
            }
            best.insert(id, at: place)
            if best.count > count { best.removeLast() }
        }
        return best
    }
}

/// A token of the output (or of a scored prompt) with its log probability.
package struct TokenLogprob: Sendable, Equatable {
    package struct Alternative: Sendable, Equatable {
        package let id: Int
        package let logprob: Double
    }

    package let id: Int
    /// Natural logarithm.
    package let logprob: Double
    /// The likeliest tokens at this place, likeliest first.
    package let top: [Alternative]
}
