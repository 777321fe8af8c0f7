package import DoraLoader
import Glibc

/// Counts since the start, and what is under way.
package struct EngineStatistics: Sendable {
    /// Whose a request was: names that are none are not kept apart, for anybody can think of more.
    package enum Subject: Hashable, Sendable {
        case base, adapter(String), unknown
    }

    /// What became of the requests of one subject.
    package struct Counts: Sendable {
        /// By how they ended.
        package var ended: [Completion.FinishReason: Int] = [:]
        package var failed = 0
        package var promptTokens = 0
        package var cachedTokens = 0
        package var generatedTokens = 0
    }

    package struct Resident: Sendable {
        package let name: String
        package let bytes: Int
        package let form: AdapterForm
        package let isPinned: Bool
    }

    // Under way.
    package var running = 0
    package var queued = 0
    package var waitingForAdapter = 0
    package var keyValueBytes = 0
    /// Of these, what running sequences keep: the rest makes room when it is needed.
    package var keptKeyValueBytes = 0
    package var keyValueBudget = 0
    package var keyValueBlocks = 0
    package var blockPositions = 0
    /// As the option for it spells it.
    package var keyValueFormat = ""
    package var adapterBytes = 0
    package var adapterBudget = 0
    /// What the names mean now, sorted.
    package var residents: [Resident] = []
    /// Names whose adapters are being loaded, sorted.
    package var loading: [String] = []
    /// When either changed last, in Unix time.
    package var adaptersChanged = 0

    // Since the start.
    package var counts: [Subject: Counts] = [:]
    package var steps = 0
    /// How often a sequence made room for an older one.
    package var preemptions = 0
    /// Tokens guessed before they were made, and those of them that were right.
    package var guessedTokens = 0
    package var acceptedTokens = 0
    package var merges = 0
    package var failedLoads = 0
    package var evictions = 0
    /// Seconds in the queue, before a request is computed.
    package var queueSeconds = Histogram()
    /// Until its first token.
    package var firstTokenSeconds = Histogram()
    /// Between two tokens of a request.
    package var tokenSeconds = Histogram()
    /// Until its end.
    package var requestSeconds = Histogram()
    /// Of merging an adapter.
    package var loadSeconds = Histogram()

    package var finished: Int { total { $0.ended.values.reduce(0, +) } - cancelled }
    package var cancelled: Int { total { $0.ended[.cancelled] ?? 0 } }
    package var failed: Int { total(\.failed) }
    package var promptTokens: Int { total(\.promptTokens) }
    package var cachedTokens: Int { total(\.cachedTokens) }
    package var generatedTokens: Int { total(\.generatedTokens) }

    private func total(_ count: (Counts) -> Int) -> Int { counts.values.reduce(0) { $0 + count($1) } }

    mutating func recordAdapterChange() { adaptersChanged = time(nil) }

    /// A request has ended.
    mutating func record(_ event: EngineEvent, of subject: Subject, after time: Duration) {
        switch event {
        case .started, .piece: return
        case .failed: counts[subject, default: Counts()].failed += 1
        case .finished(let reply):
            let completion = reply.completion
            counts[subject, default: Counts()].ended[completion.finishReason, default: 0] += 1
            counts[subject]?.promptTokens += reply.promptTokens
            counts[subject]?.cachedTokens += reply.cachedTokens
            counts[subject]?.generatedTokens += completion.tokenIDs.count
            if completion.finishReason != .cancelled {
                queueSeconds.add(reply.queueTime)
                requestSeconds.add(time)
            }
        }
    }
}

/// How many of some times were at most so long.
package struct Histogram: Sendable, Equatable {
    /// Seconds.
    package static let bounds = [
        0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1, 2, 4, 8, 15, 30, 60, 120,
    ]

    /// How many lie between a bound and the one before it; the last has none.
    private var counts = [Int](repeating: 0, count: bounds.count + 1)
    package private(set) var sum = 0.0
    package private(set) var count = 0

    package init() {}

    package mutating func add(_ time: Duration) {
        let seconds = time.seconds
        counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
        sum += seconds
        count += 1
    }

    /// How many were at most as long as each bound.
    package var cumulative: [Int] {
        var sum = 0
        return counts.dropLast().map { count in
            sum += count
            return sum
        }
    }
}

extension Duration {
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
