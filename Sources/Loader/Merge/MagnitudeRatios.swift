/// How DoRA's magnitudes lie beside the rows that they scale: m / ||V + s B A|| of each row. Training starts from the
/// base's own norms and stays near them, so that a median far from 1 means another base.
///
/// Counted by the first bits of the numbers, which add up in any order: an adapter has a million rows.
package struct MagnitudeRatios: Sendable, Equatable {
    /// Bits of a Float that are left aside, so that a step is between 0.4 and 0.8 percent.
    private static let fineBits = 16
    /// From 2^-16 to 2^16; what lies beyond counts as the last of them.
    private static let steps = step(0x1p-16)...step(0x1p16)

    /// One for each of `steps`.
    private var counts: [Int] = []
    private var total = 0

    package init() {}

    package var isEmpty: Bool { total == 0 }

    /// Signs are left aside, and so are rows of norm 0, whose factor is 0.
    mutating func add(_ factors: some Sequence<Float>) {
        if counts.isEmpty { counts = [Int](repeating: 0, count: Self.steps.count) }
        for factor in factors where factor != 0 && factor.isFinite {
            let step = min(max(Self.step(factor.magnitude), Self.steps.lowerBound), Self.steps.upperBound)
            counts[step - Self.steps.lowerBound] += 1
            total += 1
        }
    }

    package mutating func add(_ other: MagnitudeRatios) {
        guard !other.isEmpty else { return }
        if isEmpty { return self = other }
        for step in other.counts.indices { counts[step] += other.counts[step] }
        total += other.total
    }

    /// The nearest.
    private static func step(_ factor: Float) -> Int {
        Int((factor.bitPattern + 1 << (fineBits - 1)) >> fineBits)
    }

    package var median: Double? { quantile(0.5) }

    /// Where nine tenths of the ratios lie.
    package var spread: ClosedRange<Double>? {
        guard let low = quantile(0.05), let high = quantile(0.95) else { return nil }
        return low...high
    }

    /// Whether the median says that adapter and base belong together.
    package var isPlausible: Bool { median.map { (0.5...2).contains($0) } ?? true }

    /// Magnitudes that do not lie near the norms that they replace were trained on another base.
    /// - Parameter name: of the base that the adapter names.
    package func warning(baseModelName name: String?) -> LoadWarning? {
        guard !isPlausible, let median else { return nil }
        return LoadWarning(
            "the adapter's magnitudes are \((median * 1000).rounded() / 1000) times the norms of this base's rows"
                + " (median), not near 1: it was trained on another base"
                + (name.map { " (it names \($0))" } ?? ""))
    }

    private func quantile(_ share: Double) -> Double? {
        guard total > 0 else { return nil }
        var below = 0
        for (step, count) in counts.enumerated() {
            below += count
            if Double(below) >= share * Double(total) {
                return Double(Float(bitPattern: UInt32(Self.steps.lowerBound + step) << Self.fineBits))
            }
        }
        return nil
    }
}
