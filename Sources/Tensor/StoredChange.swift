import CKernels

/// What storing a changed matrix left of its change d = wanted - before.
package struct StoredChange: Sendable {
    var sums: dk_change

    /// Of no rows.
    package static let none = StoredChange(kept: 0, asked: 0, lost: 0)

    /// - Parameters: with e = stored - before, the sums of e * d, of d * d and of (e - d) * (e - d).
    package init(kept: Double, asked: Double, lost: Double) {
        sums = dk_change(kept: kept, asked: asked, lost: lost, largest: 0, least: .infinity)
    }

    package static func += (sum: inout StoredChange, rows: StoredChange) {
        sum.sums.kept += rows.sums.kept
        sum.sums.asked += rows.sums.asked
        sum.sums.lost += rows.sums.lost
        sum.sums.largest = max(sum.sums.largest, rows.sums.largest)
        sum.sums.least = min(sum.sums.least, rows.sums.least)
    }

    /// Whether anything was to change; NaN is a change.
    package var isChange: Bool { sums.asked != 0 }

    /// False where a value of the wanted matrix, or the square of a change, is none that a number holds.
    package var isFinite: Bool { sums.kept.isFinite && sums.asked.isFinite && sums.lost.isFinite }

    /// How far the stored matrix moved in the direction of d, <stored - before, d> / |d|^2: 1 is all of it, 0 nothing.
    package var survival: Double { isChange ? sums.kept / sums.asked : 1 }

    /// |stored - wanted| / |d|. Survival does not show it: rounding goes to both sides.
    package var noise: Double { isChange ? (sums.lost / sums.asked).squareRoot() : 0 }

    /// Whether an adapter that is stored so still is that adapter.
    package var isFaithful: Bool { (0.95...1.05).contains(survival) && noise <= 1 }

    /// Whether the largest value of every row is one that F16 holds at least as finely as BF16 does: below its largest
    /// number, and where its smallest step, 2^-24, is no more than a 256th.
    package var fitsHalf: Bool { sums.largest <= 65504 && sums.least >= 0x1p-16 }
}
