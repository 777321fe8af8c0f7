import Testing

@testable import DoraRuntime

@Suite struct StopStringTests {
    private func run(_ stops: [String], _ pieces: [String]) -> (shown: [String], rest: String, met: Bool) {
        var filter = StopStrings(stops)
        let shown = pieces.map { filter.append($0) }
        return (shown, filter.finish(), filter.isMet)
    }

    @Test func textBeforeTheStopIsShownAndNothingAfter() {
        let result = run(["END"], ["one ENDtwo", "three"])
        #expect(result.shown == ["one ", ""])
        #expect(result.rest.isEmpty && result.met)
    }

    @Test func aPossibleStartIsHeldBackAndReleasedWhenItIsNone() {
        let result = run(["END"], ["a E", "N", "d", "E"])
        #expect(result.shown == ["a ", "", "ENd", ""])
        #expect(result.rest == "E" && !result.met)
    }

    @Test func aStopMayBeSplitOverPieces() {
        let result = run(["\n\n"], ["x\n", "\ny"])
        #expect(result.shown == ["x", ""])
        #expect(result.met)
    }

    @Test func theEarliestOfSeveralStopsWins() {
        #expect(run(["ccc", "b"], ["abccc"]).shown == ["a"])
        #expect(run(["bcd", "c"], ["abcx"]).shown == ["ab"])
    }

    /// "e" stops although a combining accent follows: bytes count, not characters.
    @Test func bytesMatchWhateverTheyCombineWith() {
        #expect(run(["e"], ["cafe\u{301}"]).shown == ["caf"])
        #expect(run(["\r"], ["a\r\nb"]).shown == ["a"])
    }

    @Test func withoutStopsTextPassesThrough() {
        #expect(run([], ["a", "😀"]).shown == ["a", "😀"])
    }

    @Test func selfOverlappingStopsAreFound() {
        #expect(run(["aab"], ["aa", "ab"]).shown == ["", "a"])
    }
}
