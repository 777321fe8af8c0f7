/// What the steps of late took, by their rows: so much however many there are, and so much for each.
///
/// A machine that other work shares makes some steps several times as long, so that what counts of each number of rows are
/// its shorter steps; and as a few of those say little, what is assumed stays a part of the estimate.
struct StepPrice {
    /// Of a row, where nothing else is known.
    private static let assumed = 0.15
    /// How much that counts: as the spread of the rows of measured steps does.
    private static let assumedSpread = 0.3
    /// Most rows of a step with guesses that counts, for each without.
    private static let reach = 16.0

    /// Steps of about as many rows: of 1, 2, 3 to 4, 5 to 8 and so on.
    private struct Class {
        var steps = 0
        var rows = 0.0
        var seconds = 0.0

        var weight: Double { Double(min(steps, 8)) / 8 }

        mutating func record(rows count: Double, seconds time: Double) {
            steps += 1
            if steps == 1 {
                (rows, seconds) = (count, time)
            } else {
                rows += 0.2 * (count - rows)
                seconds += (time < seconds ? 0.4 : 0.05) * (min(time, 2 * seconds) - seconds)
            }
        }
    }

    private var classes: [Class] = []

    mutating func record(rows count: Int, seconds time: Double) {
        let index = Int.bitWidth - max(0, count - 1).leadingZeroBitCount
        while classes.count <= index { classes.append(Class()) }
        classes[index].record(rows: Double(count), seconds: time)
    }

    /// What a further row costs, in tokens of a step that makes `count`: how likely a guess must be to pay.
    func ofRow(besides count: Int) -> Double {
        let all = classes.filter { $0.steps > 0 }
        // Few rows cost little, as a step waits for the weights anyway; of more, each costs its arithmetic, most of all
        // in the steps of prompts: what counts are those that guesses could make of this one.
        let near = all.filter { (0.75 * Double(count)...Self.reach * Double(count)).contains($0.rows) }
        let wider = all.filter { $0.rows > 0.75 * Double(count) }
        let known = [near, wider, all].first { !$0.isEmpty } ?? []
        guard let least = known.first else { return Self.assumed }
        let weight = known.reduce(0) { $0 + $1.weight }
        let rows = known.reduce(0) { $0 + $1.weight * $1.rows } / weight
        let seconds = known.reduce(0) { $0 + $1.weight * $1.seconds } / weight
        let spread = known.reduce(0) { $0 + $1.weight * ($1.rows - rows) * ($1.rows - rows) }
        let product = known.reduce(0) { $0 + $1.weight * ($1.rows - rows) * ($1.seconds - seconds) }
        // A line through the means, with a slope between that of the steps and what is assumed.
        let assumed = Self.assumed * least.seconds / least.rows
        let each = (product + Self.assumedSpread * assumed) / (spread + Self.assumedSpread)
        let whole = seconds + each * (Double(count) - rows)
        guard each.isFinite, whole > 0 else { return Self.assumed }
        return min(1, max(0.02, each * Double(count) / whole))
    }
}
