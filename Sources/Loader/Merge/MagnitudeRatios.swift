#if canImport(Glibc)
import Glibc
#endif

/// How DoRA's magnitudes lie beside the rows that they scale: m / ||V + s B A|| of each row. Training starts from the
/// base's own norms and stays near them, so that a median far from 1 means another base.
///
/// Counted in steps of half a percent, which add up in any order: an adapter has a million rows.
package struct MagnitudeRatios: Sendable, Equatable {
    /// Steps to a doubling.
    private static let resolution = 128
    /// From 2^-16 to 2^16; what lies beyond counts as the last of them.
    private static let octaves = 16

    private var counts: [Int] = []
    private var total = 0

    package init() {}

    package var isEmpty: Bool { total == 0 }

    /// Signs are left aside, and so are rows of norm 0, whose factor is 0.
    mutating func add(_ factors: some Sequence<Float>) {
        if counts.isEmpty { counts = [Int](repeating: 0, count: 2 * Self.octaves * Self.resolution + 1) }
        for factor in factors where factor != 0 && factor.isFinite {
            let step = (log2(Double(abs(factor))) * Double(Self.resolution)).rounded()
            let limit = Double(Self.octaves * Self.resolution)
            counts[Int(min(max(step, -limit), limit)) + Self.octaves * Self.resolution] += 1
            total += 1
        }
    }

    package mutating func add(_ other: MagnitudeRatios) {
        guard !other.isEmpty else { return }
        counts = isEmpty ? other.counts : zip(counts, other.counts).map { $0 + $1 }
        total += other.total
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
                return exp2(Double(step - Self.octaves * Self.resolution) / Double(Self.resolution))
            }
        }
        return nil
    }
}
