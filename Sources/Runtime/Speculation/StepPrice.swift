import DoraTensor

/// What the steps of late took, by their rows: lines between measured numbers of rows, below which none lies.
///
/// A machine that other work shares makes some steps several times as long, so that what counts of each number of rows are
/// its shorter steps; and as a few of those say little, and old ones less, that more rows go on as fewer did, or as is
/// assumed if that is less, stays a part of the estimate: what was dear once, or while the program was new, is tried again.
struct StepPrice {
    /// What a row is expected to cost at most, in steps with the fewest rows.
    private static let assumed = 0.15
    /// So many steps say as much as what is expected.
    private static let assumedSteps = 4.0
    /// Of a row, in tokens, where the steps say less.
    static let least = 0.02
    /// What is left of a step's weight by the next one.
    private static let memory = 0.999
    /// Numbers of rows, up to each of which steps count as alike: the kernels take some as long as the next larger.
    private static let bounds = [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]

    /// Steps of about as many rows.
    private struct Class {
        /// The weight of all.
        var steps = 0.0
        var rows = 0.0
        var seconds = 0.0

        mutating func record(rows count: Double, seconds time: Double) {
            steps += 1
            // What is left of old steps is less than this one.
            if steps < 1.5 {
                (rows, seconds) = (count, time)
            } else {
                rows += 0.2 * (count - rows)
                seconds += (time < seconds ? 0.4 : 0.05) * (min(time, 2 * seconds) - seconds)
            }
        }
    }

    /// As many rows as the kernels take in one pass over the weights take as long as the next larger number of them.
    fileprivate static func alike(_ rows: Int) -> Int {
        rows <= Activations.mostAPass ? bounds.first { rows <= $0 } ?? rows : rows
    }

    private var classes = [Class](repeating: Class(), count: bounds.count + 1)

    mutating func record(rows count: Int, seconds time: Double) {
        // A step that has nothing to compute says nothing.
        guard count > 0 else { return }
        let index = Self.bounds.firstIndex { count <= $0 } ?? Self.bounds.count
        for other in classes.indices { classes[other].steps *= Self.memory }
        classes[index].record(rows: Double(Self.alike(count)), seconds: time)
    }

    /// Of steps with a few rows more than are known nothing is known until they are tried: they count as what is expected,
    /// however long much larger ones took.
    var curve: StepCurve {
        let known = classes.indices.filter { classes[$0].steps > 0 && classes[$0].seconds > 0 }
        guard let first = known.first else { return StepCurve(points: [], assumed: Self.assumed) }
        let assumed = Self.assumed * classes[first].seconds / classes[first].rows
        // No more than what more rows took of late.
        func atMost(_ index: Int) -> Double {
            known.filter { $0 > index && classes[$0].steps > classes[index].steps }
                .map { classes[$0].seconds }.min() ?? .infinity
        }
        var last = (rows: classes[first].rows, seconds: min(classes[first].seconds, atMost(first)))
        var points = StepPoints(first: last)
        for (place, index) in known.enumerated() {
            let next = classes[index]
            if next.rows > last.rows {
                let expected = last.seconds + points.rise(atMost: assumed) * (next.rows - last.rows)
                let weight = next.steps / (next.steps + Self.assumedSteps)
                let estimate = min(expected + weight * (next.seconds - expected), atMost(index))
                last = (next.rows, max(last.seconds, estimate))
                points.append(last)
            }
            let following = place + 1 < known.count ? known[place + 1] : index
            if following > index + 1 {
                points.append(untried: Double(Self.bounds[index + 1]), atMost: assumed)
            }
        }
        return StepCurve(points: points.all, assumed: assumed)
    }
}

/// Points of a curve, ascending, below which none lies.
private struct StepPoints {
    typealias Point = (rows: Double, seconds: Double)

    private(set) var all: [Point]

    init(first: Point) { all = [first] }

    private static func slope(_ from: Point, _ to: Point) -> Double {
        (to.seconds - from.seconds) / (to.rows - from.rows)
    }

    /// What lies above the line between its neighbours was a slow step, or a row that more follow at no cost.
    mutating func append(_ point: Point) {
        while all.count > 1, let last = all.last,
            Self.slope(all[all.count - 2], last) > Self.slope(last, point)
        {
            all.removeLast()
        }
        all.append(point)
    }

    /// Seconds of a row if the line goes on as before, at most what is assumed: that is tried, and the steps tell.
    func rise(atMost assumed: Double) -> Double {
        all.count > 1 ? min(assumed, Self.slope(all[all.count - 2], all[all.count - 1])) : assumed
    }

    /// A point where the line goes on as is expected.
    mutating func append(untried rows: Double, atMost assumed: Double) {
        guard let last = all.last, rows > last.rows else { return }
        all.append((rows, last.seconds + rise(atMost: assumed) * (rows - last.rows)))
    }
}

/// The time of a step as a function of its rows.
struct StepCurve {
    /// Ascending; none if no step is known.
    fileprivate let points: [(rows: Double, seconds: Double)]
    /// Seconds of a row where nothing is known; without any step, that part of one.
    fileprivate let assumed: Double

    fileprivate init(points: [(rows: Double, seconds: Double)], assumed: Double) {
        self.points = points
        self.assumed = assumed
    }

    /// By which part a step of `rows`, of which `making` make a token each, takes longer with some rows more. What a row
    /// costs beside those of prompts is held against the time that the others take alone.
    func growth(of rows: Int, by added: Int, making: Int) -> Double {
        guard !points.isEmpty else { return assumed * Double(added) / Double(making) }
        let least = StepPrice.least * Double(added) / Double(making)
        let longer = seconds(alike: rows + added) - seconds(alike: rows)
        return max(least, longer / seconds(alike: making))
    }

    /// How many rows a step may have beside some for it to take at most `factor` times as long; `most` if no step is known.
    func rows(addedTo rows: Int, within factor: Double, atMost most: Int) -> Int {
        guard !points.isEmpty else { return most }
        let longest = factor * seconds(Double(rows))
        var added = 0
        while added < most, seconds(Double(rows + added + 1)) <= longest { added += 1 }
        return added
    }

    private func seconds(alike rows: Int) -> Double { seconds(Double(StepPrice.alike(rows))) }

    /// Beyond the last point rows cost no less than before it; below the first what is assumed.
    private func seconds(_ rows: Double) -> Double {
        let next = points.firstIndex { $0.rows >= rows } ?? points.count
        guard next > 0 else {
            return max(points[0].seconds / 2, points[0].seconds - assumed * (points[0].rows - rows))
        }
        let last = points[next - 1]
        if next < points.count { return last.seconds + slope(to: next) * (rows - last.rows) }
        return last.seconds + max(assumed, slope(to: next - 1)) * (rows - last.rows)
    }

    /// Seconds of a row between a point and the one before it.
    private func slope(to index: Int) -> Double {
        guard index > 0 else { return 0 }
        let (last, next) = (points[index - 1], points[index])
        return (next.seconds - last.seconds) / (next.rows - last.rows)
    }
}
