package import DoraLoader
package import DoraTensor

/// What one sequence has computed in a step.
package struct StepPart {
    /// Which tokens' logits are wanted.
    package enum Wanted {
        case none
        /// Those of so many at the end.
        case tail(Int)
        case all

        package static let last = tail(1)
    }

    package let weights: ModelWeights
    /// With room for the tokens.
    let state: SequenceState
    /// Of the first token.
    let position: Int
    package let tokens: ArraySlice<Int>
    package let logits: Wanted
    /// Of the sequence, with those of its tokens that are known to follow: some models rotate by it.
    let length: Int

    /// - Parameters:
    ///   - state: of the tokens before these; becomes that of these too, as it will be once they are computed.
    ///   - following: tokens of a prompt that later steps will compute.
    package init(
        weights: ModelWeights, extending state: inout SequenceState, by tokens: ArraySlice<Int>,
        logits: Wanted, following: Int = 0, in heap: Heap
    ) throws(ComputeError) {
        position = state.count
        try state.extend(by: tokens.count, in: heap)
        self.weights = weights
        self.state = state
        self.tokens = tokens
        self.logits = logits
        length = state.count + following
    }

    /// Offsets into `tokens`.
    var wantedTokens: Range<Int> {
        switch logits {
        case .none: tokens.count..<tokens.count
        case .tail(let count): tokens.count - count..<tokens.count
        case .all: 0..<tokens.count
        }
    }
}

/// The rows of a step that belong to one sequence.
struct StepRows {
    let weights: ModelWeights
    let rows: Range<Int>
}

/// A step as the layers see it: rows that go through them together.
struct LayerStep {
    /// Those that have rows.
    let parts: [StepRows]
    let attention: Attention
    /// Of each row.
    let positions: [Int]
    /// By rotary table: the angles of each row.
    let angles: [[UnsafePointer<Float>]]

    var tokens: Int { positions.count }

    /// - Parameters:
    ///   - ranges: some tokens of each part, which become rows one behind the other.
    ///   - angles: of those.
    init(
        _ parts: [StepPart], tokens ranges: [Range<Int>], angles: [[UnsafePointer<Float>]],
        geometry: StateGeometry, heads: Int
    ) {
        var (rows, attended, positions): ([StepRows], [Attention.Part], [Int]) = ([], [], [])
        for (part, range) in zip(parts, ranges) where !range.isEmpty {
            let place = positions.count..<positions.count + range.count
            let position = part.position + range.lowerBound
            rows.append(StepRows(weights: part.weights, rows: place))
            attended.append(Attention.Part(state: part.state, position: position, rows: place))
            positions += position..<position + range.count
        }
        self.parts = rows
        self.positions = positions
        self.angles = angles
        attention = Attention(attended, geometry: geometry, heads: heads)
    }
}

/// The rows of a step whose logits are wanted. Of the others the last layer only makes keys and values: what it would add
/// to their residuals nobody reads.
struct WantedRows {
    struct Place {
        let part: Int
        /// In the part.
        let token: Int
        /// In the step.
        let row: Int
    }

    /// In the order of the step.
    let places: [Place]

    init(of parts: [StepPart]) {
        var places: [Place] = []
        var first = 0
        for (index, part) in parts.enumerated() {
            places += part.wantedTokens.map { Place(part: index, token: $0, row: first + $0) }
            first += part.tokens.count
        }
        self.places = places
    }

    var count: Int { places.count }
}
