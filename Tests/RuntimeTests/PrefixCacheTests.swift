import DoraTensor
import Testing

@testable import DoraRuntime

/// What is known of texts: as much of a new one as any of them begins with, in bounded memory.
@Suite struct PrefixCacheTests {
    /// A cache, and texts that are added to it without being computed.
    private final class Texts {
        let geometry: StateGeometry
        var cache: PrefixCache
        let keeps: [Bool]
        private let heap = Heap()

        /// - Parameter windows: of the groups of layers; nil for one that sees everything.
        init(_ windows: [Int?] = [nil]) {
            geometry = StateGeometry(
                layers: windows.map { KeyValueShape(keyValueHeads: 1, headSize: 8, window: $0) }, format: .f16
            )
            cache = PrefixCache(geometry)
            keeps = windows.map { $0 == nil }
        }

        /// How much of a text is known, of all but its last token.
        func known(_ tokens: [Int], _ adapter: AdapterIdentity? = nil, rotation: Int = 0) -> Int {
            let (hold, state) = cache.hold(
                adapter, rotation: rotation, tokens, atMost: tokens.count - 1, keeps: keeps)
            cache.release(hold)
            return state.count
        }

        func evict() -> Int? { cache.evictOne() }

        /// - Returns: how much was known before.
        func add(
            _ tokens: [Int], _ adapter: AdapterIdentity? = nil, room: Int = .max,
            tail: PrefixCache.Tail = .left
        ) throws -> Int {
            var (hold, state) = cache.hold(
                adapter, rotation: 0, tokens, atMost: tokens.count - 1, keeps: keeps)
            let known = state.count
            try state.extend(by: tokens.count - known, in: heap)
            _ = cache.add(
                adapter, rotation: 0, tokens[...], of: &state, to: &hold, keeps: keeps, room: room, tail: tail
            )
            cache.release(hold)
            return known
        }
    }

    private static let kinds: [[Int?]] = [[nil], [100], [nil, 100], [1, nil]]

    private static func alike(_ first: [Int], _ second: [Int]) -> Int {
        var count = 0
        while count < min(first.count, second.count), first[count] == second[count] { count += 1 }
        return count
    }

    @Test(arguments: kinds) func theLongestKnownBeginningIsFound(windows: [Int?]) throws {
        let texts = Texts(windows)
        var random = SeededGenerator(seed: 3)
        var all: [[Int]] = []
        for _ in 0..<200 {
            // Goes on from an earlier one, or anew; few tokens, so that many begin alike.
            let earlier = (all.randomElement(using: &random) ?? []).prefix(
                Int.random(in: 0...200, using: &random))
            let text =
                earlier
                + (0..<Int.random(in: 1...90, using: &random)).map { _ in
                    Int.random(in: 0...2, using: &random)
                }
            let expected = all.map { min(Self.alike($0, Array(text)), text.count - 1) }.max() ?? 0
            let found = try texts.add(Array(text))
            #expect(found == expected)
            all.append(Array(text))
        }
        // All of it can be given up, and nothing is left.
        #expect(texts.cache.pinnedBytes == 0)
        var freed = 0
        let bytes = texts.cache.byteCount
        while let some = texts.evict() { freed += some }
        #expect(freed == bytes && texts.cache.byteCount == 0)
        #expect(texts.known(all[0]) == 0)
    }

    /// What is found when much was given up can be gone on from: a state says so itself.
    @Test(arguments: kinds) func whatIsLeftOfGivenUpTextsIsOfUse(windows: [Int?]) throws {
        let texts = Texts(windows)
        var random = SeededGenerator(seed: 4)
        let room = 40 * texts.geometry.blockBytes
        var all: [[Int]] = []
        var found = 0
        for _ in 0..<300 {
            let earlier = (all.suffix(30).randomElement(using: &random) ?? []).prefix(
                Int.random(in: 0...300, using: &random))
            let text =
                earlier
                + (0..<Int.random(in: 1...90, using: &random)).map { _ in
                    Int.random(in: 0...2, using: &random)
                }
            while texts.cache.byteCount + 8 * texts.geometry.blockBytes > room {
                try #require(texts.evict() != nil)
            }
            let known = try texts.add(Array(text), room: room - texts.cache.byteCount)
            #expect(known <= all.map { Self.alike($0, Array(text)) }.max() ?? 0)
            #expect(texts.cache.byteCount <= room && texts.cache.pinnedBytes == 0)
            found += known
            all.append(Array(text))
        }
        #expect(found > 300)
    }

    /// A text that goes on takes the place of what it went on from.
    @Test func aGrowingTextIsThereOnce() throws {
        let texts = Texts()
        let text = (0..<300).map { $0 * $0 % 7 }
        for end in stride(from: 10, through: 300, by: 10) {
            #expect(try texts.add(Array(text.prefix(end)), tail: end % 20 == 0 ? .copied : .left) == end - 10)
            #expect(texts.cache.byteCount == (end + 63) / 64 * texts.geometry.blockBytes)
        }
        // Nor is what it begins with added to it again.
        #expect(try texts.add(Array(text.prefix(200))) == 199)
        #expect(texts.cache.byteCount == 5 * texts.geometry.blockBytes)
        #expect(try texts.add(Array(text.prefix(20)) + [9, 9], tail: .kept) == 20)
        #expect(texts.cache.byteCount == 5 * texts.geometry.blockBytes)
    }

    @Test func whatWasOfNoUseForLongestGoesFirst() throws {
        let texts = Texts()
        let all = (0..<4).map { number in (0..<20).map { number * 100 + $0 } }
        for text in all { #expect(try texts.add(text) == 0) }
        // A token of it is use enough.
        #expect(texts.known([all[0][0], 7]) == 1)
        for gone in [1, 2, 3, 0] {
            #expect(texts.evict() == texts.geometry.blockBytes)
            #expect(texts.known(all[gone]) == 0)
        }
        #expect(texts.evict() == nil)
        // Of a text its end, so that what is left can be gone on from.
        let long = (0..<300).map { $0 % 11 }
        _ = try texts.add(long)
        for left in [256, 192, 128, 64, 0] {
            #expect(texts.evict() == texts.geometry.blockBytes)
            #expect(texts.known(long) == left)
        }
    }

    /// Where there is no room nothing is added that nobody paid for.
    @Test func aCopyNeedsRoom() throws {
        let texts = Texts()
        let text = (0..<100).map { $0 % 11 }
        _ = try texts.add(text, room: 0, tail: .copied)
        #expect(texts.cache.byteCount == texts.geometry.blockBytes && texts.known(text) == 64)
        _ = try texts.add(text, room: 0, tail: .left)
        #expect(texts.cache.byteCount == 2 * texts.geometry.blockBytes && texts.known(text) == 99)
    }

    @Test func onlyTheSameWeightsAndRotationShare() throws {
        let texts = Texts()
        let adapters = [
            nil, AdapterIdentity(name: "a", generation: 1), AdapterIdentity(name: "a", generation: 2),
            AdapterIdentity(name: "b", generation: 1),
        ]
        let text = (0..<80).map { $0 % 11 }
        for adapter in adapters { #expect(try texts.add(text, adapter) == 0) }
        for adapter in adapters {
            #expect(texts.known(text, adapter) == 79)
            #expect(texts.known(text, adapter, rotation: 1) == 0)
        }
        texts.cache.drop(AdapterIdentity(name: "a", generation: 1))
        #expect(adapters.map { texts.known(text, $0) } == [79, 0, 79, 79])
        #expect(texts.cache.byteCount == 6 * texts.geometry.blockBytes)
    }
}
