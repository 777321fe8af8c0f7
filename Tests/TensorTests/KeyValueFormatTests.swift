import Foundation
import Testing

@testable import DoraTensor

/// Attention over keys and values in every format, beside attention in double precision.
@Suite struct KeyValueFormatTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let heads: Int
        let keyValueHeads: Int
        let headSize: Int
        var window: Int?
        var cap: Float?

        var testDescription: String {
            "\(heads) heads over \(keyValueHeads) of \(headSize), window \(window ?? 0), cap \(cap ?? 0)"
        }

        var geometry: [KeyValueShape] {
            [KeyValueShape(keyValueHeads: keyValueHeads, headSize: headSize, window: window)]
        }
    }

    private static let cases = [
        Case(heads: 8, keyValueHeads: 2, headSize: 64), Case(heads: 3, keyValueHeads: 3, headSize: 80),
        Case(heads: 4, keyValueHeads: 1, headSize: 24, window: 70),
        Case(heads: 2, keyValueHeads: 1, headSize: 6), Case(heads: 2, keyValueHeads: 2, headSize: 512),
        Case(heads: 4, keyValueHeads: 2, headSize: 128, window: 33, cap: 5),
    ]

    /// A normal number or near enough, of which one dimension in sixteen stands out.
    private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed
        func next() -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) / Float(1 << 24) * 2 - 1
        }
        return (0..<count).map { (next() + next() + next()) * ($0 % 16 == 5 ? 4 : 1) }
    }

    private static func attend(
        _ test: Case, _ format: KeyValueFormat, steps: [Int], _ rows: [Float], kernels: String? = nil
    ) throws -> [Float] {
        let compute = try Compute(threads: 2, kernels: kernels)
        let geometry = StateGeometry(layers: test.geometry, format: format)
        let (queries, keys) = (test.heads * test.headSize, test.keyValueHeads * test.headSize)
        let stride = queries + 2 * keys
        var state = SequenceState(geometry)
        var out = [Float](repeating: .nan, count: rows.count / stride * queries)
        let scores = AttentionScores(
            scale: 0.3 / Float(test.headSize).squareRoot(), window: test.window, cap: test.cap)
        for count in steps {
            let position = state.count
            try state.extend(by: count, in: compute.heap)
            let attention = Attention(
                [Attention.Part(state: state, position: position, rows: 0..<count)], geometry: geometry,
                heads: test.heads)
            rows.withUnsafeBufferPointer { rows in
                out.withUnsafeMutableBufferPointer { out in
                    guard let row = rows.baseAddress.map({ $0 + position * stride }),
                        let out = out.baseAddress.map({ $0 + position * queries })
                    else { return }
                    attention.store(
                        layer: 0, keys: row + queries, values: row + queries + keys, stride: stride,
                        on: compute)
                    attention.attend(layer: 0, scores, queries: row, stride: stride, out: out, on: compute)
                }
            }
        }
        return out
    }

    /// Of some tokens: what they see lies in one, two and three blocks.
    private static func expected(_ test: Case, tokens: [Int], _ rows: [Float]) -> [Double] {
        let (size, group) = (test.headSize, test.heads / test.keyValueHeads)
        let (queries, keys) = (test.heads * size, test.keyValueHeads * size)
        let stride = queries + 2 * keys
        var out: [Double] = []
        for token in tokens {
            for head in 0..<test.heads {
                let seen = max(0, token + 1 - (test.window ?? .max))...token
                let query = token * stride + head * size
                let key = queries + head / group * size
                let scores = seen.map { place in
                    let dot = (0..<size).reduce(0.0) {
                        $0 + Double(rows[query + $1]) * Double(rows[place * stride + key + $1])
                    }
                    let score = dot * 0.3 / Double(size).squareRoot()
                    return test.cap.map { Double($0) * tanh(score / Double($0)) } ?? score
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                for d in 0..<size {
                    let sum = zip(seen, weights).reduce(0.0) {
                        $0 + $1.1 * Double(rows[$1.0 * stride + key + keys + d])
                    }
                    out.append(sum / total)
                }
            }
        }
        return out
    }

    @Test(arguments: cases, KeyValueFormat.allCases)
    func attentionIsThatOfRealNumbers(test: Case, format: KeyValueFormat) throws {
        let tokens = 150
        let width = (test.heads + 2 * test.keyValueHeads) * test.headSize
        let rows = Self.numbers(tokens * width, seed: UInt64(width))
        let some = [0, 3, 63, 64, 100, 149]
        let expected = Self.expected(test, tokens: some, rows)
        let found = try Self.attend(test, format, steps: [tokens], rows)
        let outputs = test.heads * test.headSize
        let checked = some.flatMap { found[$0 * outputs..<($0 + 1) * outputs] }
        let error = zip(checked, expected).reduce(0.0) { $0 + ($1.1 - Double($1.0)) * ($1.1 - Double($1.0)) }
        let size = expected.reduce(0.0) { $0 + $1 * $1 }
        let bound = [KeyValueFormat.f32: 1e-6, .f16: 1e-3, .q8: 3e-2]
        #expect((error / size).squareRoot() <= bound[format] ?? 0)
        // No bit depends on how the tokens came, nor on the instruction set.
        for steps in [
            [1, 62, 2, 60, 25], Array(repeating: 10, count: 15), Array(repeating: 1, count: tokens),
        ] {
            #expect(try Self.attend(test, format, steps: steps, rows) == found)
        }
        #expect(try Self.attend(test, format, steps: [70, 80], rows, kernels: "portable") == found)
    }

    /// What stands out at one position costs no other.
    @Test func everyPositionHasItsOwnScales() throws {
        let test = Case(heads: 1, keyValueHeads: 1, headSize: 64, window: 10)
        let tokens = 128
        var rows = Self.numbers(tokens * 192, seed: 7)
        let before = try Self.attend(test, .q8, steps: [tokens], rows)
        for d in 64..<192 { rows[100 * 192 + d] *= 1e4 }
        let after = try Self.attend(test, .q8, steps: [tokens], rows)
        // Those who do not see it see others of its block.
        #expect(after[..<(100 * 64)] == before[..<(100 * 64)])
        #expect(after[(110 * 64)...] == before[(110 * 64)...])
        #expect(after != before)
    }

    @Test(arguments: [64, 128, 256]) func int8TakesHalfTheBytes(headSize: Int) {
        func bytes(_ format: KeyValueFormat) -> Int {
            StateGeometry(
                layers: Array(
                    repeating: KeyValueShape(keyValueHeads: 8, headSize: headSize), count: 32),
                format: format
            ).blockBytes
        }
        #expect(bytes(.f32) == 2 * bytes(.f16))
        #expect(bytes(.q8) * headSize * 2 == bytes(.f16) * (headSize + 4))
    }
}
