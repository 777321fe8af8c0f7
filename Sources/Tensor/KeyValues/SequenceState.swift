/// What a model keeps of a sequence: its layers in groups that keep alike.
package struct StateGeometry: Sendable, Equatable {
    /// A layer's group, and which of the layers of that it is.
    struct Place: Sendable, Equatable {
        let group: Int
        let layer: Int
    }

    package let groups: [KeyValueGeometry]
    package let format: KeyValueFormat
    /// By layer.
    let places: [Place]

    package init(layers: [KeyValueShape], format: KeyValueFormat) {
        var shapes: [KeyValueShape] = []
        var counts: [Int] = []
        var places: [Place] = []
        for shape in layers {
            let group = shapes.firstIndex(of: shape) ?? shapes.count
            if group == shapes.count {
                shapes.append(shape)
                counts.append(0)
            }
            places.append(Place(group: group, layer: counts[group]))
            counts[group] += 1
        }
        groups = zip(shapes, counts).map { KeyValueGeometry(layers: $1, shape: $0, format: format) }
        self.format = format
        self.places = places
    }

    package var layers: Int { places.count }

    /// Bytes of a block's positions in all layers.
    package var blockBytes: Int { groups.reduce(0) { $0 + $1.blockBytes } }

    /// Bytes that the token at a position reads.
    package func bytes(seenFrom position: Int) -> Int {
        groups.reduce(0) { sum, group in
            let seen = min(position + 1, group.shape.window ?? .max)
            return sum + seen * group.blockBytes / KeyValueGeometry.blockPositions
        }
    }
}

/// What is kept of the tokens of a sequence, so that those behind them can be computed without computing them again.
///
/// A value of typed parts: today the keys and values of each group of layers, in blocks. A copy goes on by itself: copies
/// share what they have in common. Further kinds of parts need what these have: room for tokens to come, a way back to
/// an anchor, and a rule for what of them serves other sequences.
package struct SequenceState: Sendable {
    package let geometry: StateGeometry
    /// Positions; those of a step count from when room was made for them.
    package private(set) var count: Int
    /// By group.
    package private(set) var keyValues: [KeyValueBlocks]
    /// The earliest position to which tokens may be taken back: what the token there sees is not given back. Nil if none
    /// ever is.
    package var anchor: Int?

    package init(_ geometry: StateGeometry) {
        self.geometry = geometry
        count = 0
        keyValues = geometry.groups.map { KeyValueBlocks($0) }
    }

    /// Begins with what a sequence has that began with the same tokens under the same weights.
    /// - Parameters:
    ///   - count: tokens that are alike.
    ///   - held: of their blocks, by group the last: at least those that the token behind them sees. A last one that is alike
    ///     in part is copied by who goes on in it.
    package init(_ geometry: StateGeometry, beginningWith count: Int, held: [[KeyValueBlock]]) {
        self.geometry = geometry
        self.count = count
        keyValues = zip(geometry.groups, held).map {
            KeyValueBlocks($0, first: KeyValueGeometry.blocks(count) - $1.count, blocks: $1)
        }
        for part in keyValues { precondition(part.first <= part.geometry.firstBlock(seenFrom: count)) }
    }

    package var byteCount: Int { keyValues.reduce(0) { $0 + $1.byteCount } }
    /// How many blocks' positions are all written.
    package var fullBlocks: Int { count / KeyValueGeometry.blockPositions }

    /// Whether there is room for the tokens at these positions, and all that they see.
    func holds(_ positions: Range<Int>) -> Bool {
        keyValues.allSatisfy { part in
            part.first <= part.geometry.firstBlock(seenFrom: positions.lowerBound)
                && part.first + part.blocks.count >= KeyValueGeometry.blocks(positions.upperBound)
        }
    }

    /// Makes room for further tokens, which the next step computes. What neither they nor any behind the anchor see is
    /// given back.
    package mutating func extend(by tokens: Int, in heap: Heap) throws(ComputeError) {
        let seen = min(count, anchor ?? count)
        for group in keyValues.indices {
            try keyValues[group].extend(from: count, to: count + tokens, seenFrom: seen, in: heap)
        }
        count += tokens
    }

    /// Forgets the tokens from a position on.
    /// - Precondition: it is not before the anchor that stood since they came.
    package mutating func takeBack(to position: Int) {
        guard position < count else { return }
        for group in keyValues.indices { keyValues[group].takeBack(to: position) }
        count = position
    }

    /// Takes a block with the same keys and values for one that is held.
    package mutating func replace(_ index: Int, of group: Int, by block: KeyValueBlock) {
        keyValues[group].replace(index, by: block)
    }
}
