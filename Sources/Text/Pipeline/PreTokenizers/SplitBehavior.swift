/// What becomes of the matches of a pattern that splits a text.
enum SplitBehavior: String {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    /// A stretch of the text; matches and the gaps between them cover it without overlap.
    typealias Span = (range: Range<Int>, isMatch: Bool)

    /// Turns matches and gaps into parts.
    func parts(of spans: [Span], into parts: inout [Range<Int>]) {
        switch self {
        case .removed: for span in spans where !span.isMatch { parts.append(span.range) }
        case .isolated: for span in spans { parts.append(span.range) }
        case .contiguous, .mergedWithPrevious: joinForward(spans, into: &parts)
        case .mergedWithNext: joinBackward(spans, into: &parts)
        }
    }

    /// Whether a span joins the neighbour before it (after it, for `mergedWithNext`).
    private func joins(_ isMatch: Bool, _ neighbourIsMatch: Bool) -> Bool {
        self == .contiguous ? isMatch == neighbourIsMatch : isMatch && !neighbourIsMatch
    }

    private func joinForward(_ spans: [Span], into parts: inout [Range<Int>]) {
        var previous = false
        let first = parts.count
        for (range, isMatch) in spans {
            if joins(isMatch, previous), parts.count > first {
                let last = parts.count - 1
                parts[last] = parts[last].lowerBound..<range.upperBound
            } else {
                parts.append(range)
            }
            previous = isMatch
        }
    }

    private func joinBackward(_ spans: [Span], into parts: inout [Range<Int>]) {
        var next = false
        var joined: [Range<Int>] = []
        for (range, isMatch) in spans.reversed() {
            if joins(isMatch, next), let last = joined.popLast() {
                joined.append(range.lowerBound..<last.upperBound)
            } else {
                joined.append(range)
            }
            next = isMatch
        }
        parts.append(contentsOf: joined.reversed())
    }
}
