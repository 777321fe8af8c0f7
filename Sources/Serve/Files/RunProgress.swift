import DoraRuntime

/// How far a run is, on one line of a terminal.
struct RunProgress {
    /// Lines that were answered before this run.
    let skipped: Int
    /// Lines of the file; nil if nobody knows.
    var total: Int?
    private(set) var done = 0
    private let start: ContinuousClock.Instant
    private var lastShown: ContinuousClock.Instant?

    init(skipped: Int, total: Int?, start: ContinuousClock.Instant = .now) {
        self.skipped = skipped
        self.total = total
        self.start = start
    }

    /// What to show now; nil if something was shown just before.
    mutating func step(_ count: Int, at now: ContinuousClock.Instant = .now) -> String? {
        done += count
        if let lastShown, now - lastShown < .milliseconds(100) { return nil }
        lastShown = now
        return text(at: now)
    }

    func text(at now: ContinuousClock.Instant) -> String {
        let seconds = (now - start).seconds
        let rate = seconds > 0 ? Double(done) / seconds : 0
        let answered = skipped + done
        let speed = "\((rate * 10).rounded() / 10)/s"
        guard let total else { return "\(answered) lines, \(speed)" }
        let width = 30
        let filled = total > 0 ? min(width, width * answered / total) : width
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        let left = rate > 0 ? ", \(Self.clock(Double(max(0, total - answered)) / rate)) left" : ""
        return "[\(bar)] \(answered)/\(total) lines, \(speed)\(left)"
    }

    /// `1:02:03`, `2:03`
    static func clock(_ seconds: Double) -> String {
        let all = Int(min(seconds, 1e9).rounded(.up))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60)
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }
}
