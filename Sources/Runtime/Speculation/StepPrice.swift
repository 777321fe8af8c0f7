/// What the steps of late took, by their rows: so much however many there are, and so much for each.
struct StepPrice {
    /// Of a row, where nothing else is known.
    private static let assumed = 0.15
    /// What a measured step weighs after the next.
    private static let decay = 0.97

    private var weight = 0.0
    private var rows = 0.0
    private var rowsSquared = 0.0
    private var seconds = 0.0
    private var products = 0.0

    mutating func record(rows count: Int, seconds time: Double) {
        let count = Double(count)
        weight = weight * Self.decay + 1
        rows = rows * Self.decay + count
        rowsSquared = rowsSquared * Self.decay + count * count
        seconds = seconds * Self.decay + time
        products = products * Self.decay + count * time
    }

    /// What a further row costs, in tokens of a step that makes `count`: how likely a guess must be to pay.
    func ofRow(besides count: Int) -> Double {
        let spread = weight * rowsSquared - rows * rows
        guard weight > 4, spread > 0.01 * weight * weight else { return Self.assumed }
        let each = (weight * products - rows * seconds) / spread
        let whole = (seconds - each * rows) / weight + each * Double(count)
        guard each > 0, whole > 0 else { return Self.assumed }
        return min(1, max(0.02, each * Double(count) / whole))
    }
}
