/// Which blocks of activations are rounded twice where they meet integer weights: to int8 with a scale of their own,
/// and what that leaves to int8 again, 254 times finer. A block's own values decide, so that a token's result does not
/// depend on what is computed beside it.
package struct SecondTerms: Sendable, Equatable {
    /// Those whose largest magnitude is over that many times their root mean square: the step suits the largest, and
    /// rounds the others coarsely.
    package let threshold: Float

    package static let none = SecondTerms(threshold: .infinity)
    package static let all = SecondTerms(threshold: 0)
    /// On a real model that is three blocks in ten, and takes seven eighths of the loss; docs/ACCURACY.md has the
    /// curve.
    package static let peaks = SecondTerms(threshold: 4.5)
}
