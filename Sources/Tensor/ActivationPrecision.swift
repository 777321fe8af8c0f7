/// How finely activations are rounded where they meet integer weights: in blocks of 64 inputs, each with a scale of its
/// own. A token's row alone decides, so that its result does not depend on what is computed beside it.
package enum ActivationPrecision: String, Sendable, CaseIterable {
    /// Int8.
    case eight = "8"
    /// Int8 and what that leaves as int8 again, 15 bits in effect.
    case sixteen = "16"
    /// A second int8 for the blocks whose rounding would show.
    case auto

    /// A block's step is a share of its largest magnitude: the others are rounded by a step that suits it, not them. A
    /// second term goes to the blocks whose largest magnitude is over that many times their root mean square.
    ///
    /// On a real model that is a quarter of the blocks, and takes seven eighths of the loss; docs/ACCURACY.md has the curve.
    package static let autoThreshold: Float = 4.75

    /// What the kernels compare with.
    var threshold: Float {
        switch self {
        case .eight: .infinity
        case .sixteen: 0
        case .auto: Self.autoThreshold
        }
    }
}
