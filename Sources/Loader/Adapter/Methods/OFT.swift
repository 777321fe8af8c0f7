import DoraTensor
import DoraText

/// OFT (arXiv 2306.07280, 2506.19847; PEFT `peft/tuners/oft/layer.py`, 0.14 and later): the inputs of a module, cut into
/// blocks, are rotated before the weights see them.
struct OFT: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "OFT", title: "OFT",
        read: [
            "r", "oft_block_size", "coft", "eps", "block_share", "use_cayley_neumann",
            "num_cayley_neumann_terms",
        ],
        harmless: ["module_dropout", "init_weights", "fan_in_fan_out"], parameters: ["oft_R"])

    private let blockCount: Int
    private let blockSize: Int
    private let isShared: Bool
    /// COFT's bound for a block's length; nil for plain OFT.
    private let bound: Float?
    /// Terms of the series; nil for the exact inverse.
    private let terms: Int?

    init(_ fields: JSONFields) throws(LoadError) {
        guard fields.object["oft_block_size"] != nil else {
            throw LoadError(
                .unsupported, file: fields.file, field: "oft_block_size",
                "it is missing: PEFT before 0.14 saved another kind of OFT",
                advice: "train the adapter with a newer PEFT")
        }
        let sizes = 0...(1 << 20)
        blockCount = try fields.int("r", in: sizes) ?? 0
        blockSize = try fields.int("oft_block_size", in: sizes) ?? 32
        guard (blockCount == 0) != (blockSize == 0) else {
            throw LoadError(
                .malformed, file: fields.file, field: "oft_block_size",
                expected: "either r or oft_block_size above 0",
                found: "r \(blockCount), oft_block_size \(blockSize)",
                advice: "use the configuration that was saved with the weights")
        }
        isShared = try fields.bool("block_share") ?? false
        bound = try fields.bool("coft") == true ? Float(fields.double("eps") ?? 6e-5) : nil
        terms =
            try fields.bool("use_cayley_neumann") == false
            ? nil : fields.int("num_cayley_neumann_terms", in: 0...1000) ?? 5
    }

    /// PEFT's own warning: the series lost a term's factor of two in 0.18.
    func warnings(_ configuration: AdapterConfiguration) -> [LoadWarning] {
        let version = (configuration.peftVersion ?? "0").split(separator: ".").prefix(2).compactMap {
            Int($0)
        }
        guard terms != nil, version.count < 2 || version[0] == 0 && version[1] < 18 else { return [] }
        return [
            LoadWarning(
                "\(configuration.file): use_cayley_neumann: read as PEFT 0.18 and later read it;"
                    + " an adapter that an older version trained differs slightly")
        ]
    }

    /// The length of a module's blocks: what is given, or the next larger that divides the inputs.
    private func blockSize(inputs: Int) -> Int {
        func divisor(_ least: Int) -> Int {
            // As PEFT adjusts it: of the divisors on both sides, the nearer one.
            guard least < inputs else { return inputs }
            var (higher, lower) = (least, least)
            while higher <= inputs && inputs % higher != 0 { higher += 1 }
            while lower > 1 && inputs % lower != 0 { lower -= 1 }
            return least - lower <= higher - least ? lower : higher
        }
        return blockCount == 0 ? divisor(blockSize) : inputs / divisor(blockCount)
    }

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        try assembly.requireLinear(module, Self.vocabulary.title)
        let size = blockSize(inputs: module.inputs)
        let count = isShared ? 1 : module.inputs / size
        return OFTUpdate(
            blockSize: size, blockCount: count, bound: bound, terms: terms,
            angles: try assembly.parameter("oft_R", of: module, shape: [count, size * (size - 1) / 2]))
    }
}

/// W' = V diag(R)^T, each block's R made of a skew-symmetric Q: (I - Q)(I + Q)^-1, or the first terms of a series.
struct OFTUpdate: WeightUpdate {
    let blockSize: Int
    /// 1 where all blocks share one.
    let blockCount: Int
    let bound: Float?
    let terms: Int?
    /// Upper triangles of the Q, `[blockCount, blockSize (blockSize - 1) / 2]`
    let angles: [Float]

    var label: String { "OFT block size \(blockSize)" }
    var addsNothing: Bool { angles.allSatisfy { $0 == 0 } }
    var byteCount: Int { angles.count * MemoryLayout<Float>.size }

    func rows(columns: Int, on compute: Compute) -> any RowMerge {
        let (size, area) = (blockSize, blockSize * blockSize)
        let rotations = [Float](unsafeUninitializedCapacity: blockCount * area) { buffer, count in
            buffer.initialize(repeating: 0)
            count = buffer.count
            guard let start = buffer.baseAddress else { return }
            compute.parallel(blockCount) { block in
                let rotation = rotation(of: block)
                for index in 0..<area { start[block * area + index] = Float(rotation.elements[index]) }
            }
        }
        return Rows(rotations: rotations, size: size, isShared: blockCount == 1, columns: columns)
    }

    /// R^T of a block, whose sums are in F64 and in order.
    private func rotation(of block: Int) -> SquareMatrix {
        let count = blockSize * (blockSize - 1) / 2
        var upper = angles[block * count..<(block + 1) * count].map(Double.init)
        if let bound {
            // The whole of Q counts each angle twice.
            let length = (2 * upper.reduce(0) { $0 + $1 * $1 }).squareRoot()
            let limit = Double(bound) / Double(blockCount).squareRoot()
            if length > limit { upper = upper.map { limit * ($0 / length) } }
        }
        var q = SquareMatrix(size: blockSize)
        var index = 0
        for row in 0..<blockSize {
            for column in row + 1..<blockSize {
                q[row, column] = upper[index]
                q[column, row] = -upper[index]
                index += 1
            }
        }
        // PEFT's series is that of (I + Q)(I - Q)^-1, its exact R is (I - Q)(I + Q)^-1; and Q^T = -Q.
        return terms.map { q.negated.cayleySeries(terms: $0) } ?? q.cayleyTransform
    }

    private struct Rows: RowMerge {
        /// R^T of each block.
        let rotations: [Float]
        let size: Int
        let isShared: Bool
        let columns: Int

        func change(
            tile: Int, of before: ExactTile, into target: TileRows, on compute: Compute
        ) -> RowFactors {
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * columns) { memory in
                rotations.withUnsafeBufferPointer { rotations in
                    guard let row = memory.baseAddress, let rotations = rotations.baseAddress else { return }
                    let rotated = row + columns
                    before.withFloats(on: compute) { values in
                        for offset in 0..<PackedMatrix.tileRows {
                            for column in 0..<columns {
                                row[column] = values[TileRows.index(row: offset, column: column)]
                            }
                            rotate(row, by: rotations, into: rotated)
                            for column in 0..<columns {
                                target.start[TileRows.index(row: offset, column: column)] = rotated[column]
                            }
                        }
                    }
                }
            }
            return RowFactors()
        }

        /// Sums over a block's inputs in ascending order.
        private func rotate(
            _ row: UnsafePointer<Float>, by rotations: UnsafePointer<Float>,
            into out: UnsafeMutablePointer<Float>
        ) {
            for first in stride(from: 0, to: columns, by: size) {
                let rotation = rotations + (isShared ? 0 : first / size * size * size)
                for column in 0..<size { out[first + column] = 0 }
                for input in 0..<size {
                    let value = row[first + input]
                    for column in 0..<size {
                        out[first + column] += value * rotation[input * size + column]
                    }
                }
            }
        }
    }
}

/// A small square matrix in F64, row by row.
private struct SquareMatrix {
    let size: Int
    private(set) var elements: [Double]

    init(size: Int) {
        self.size = size
        elements = [Double](repeating: 0, count: size * size)
    }

    static func identity(_ size: Int) -> SquareMatrix {
        var matrix = SquareMatrix(size: size)
        for index in 0..<size { matrix[index, index] = 1 }
        return matrix
    }

    subscript(row: Int, column: Int) -> Double {
        get { elements[row * size + column] }
        set { elements[row * size + column] = newValue }
    }

    var negated: SquareMatrix {
        var matrix = self
        for index in elements.indices { matrix.elements[index] = -elements[index] }
        return matrix
    }

    mutating func add(_ other: SquareMatrix, times factor: Double) {
        for index in elements.indices { elements[index] += factor * other.elements[index] }
    }

    func times(_ other: SquareMatrix) -> SquareMatrix {
        var product = SquareMatrix(size: size)
        for row in 0..<size {
            for index in 0..<size {
                let factor = self[row, index]
                for column in 0..<size { product[row, column] += factor * other[index, column] }
            }
        }
        return product
    }

    /// I + 2 Q + 2 Q² + …, the last of the powers once only, as PEFT sums them.
    func cayleySeries(terms: Int) -> SquareMatrix {
        var sum = Self.identity(size)
        guard terms > 1 else { return sum }
        sum.add(self, times: 2)
        guard terms > 2 else { return sum }
        var power = times(self)
        sum.add(power, times: 2)
        for _ in stride(from: 3, to: terms - 1, by: 1) {
            power = power.times(self)
            sum.add(power, times: 2)
        }
        sum.add(power.times(self), times: 1)
        return sum
    }

    /// (I + Q)(I - Q)^-1, which is there whatever the Q: I - Q has no eigenvalue below 1 in size.
    var cayleyTransform: SquareMatrix {
        // Columns of X (I - Q) = I + Q, by elimination of the transposed system (I - Q)^T X^T = (I + Q)^T.
        var left = Self.identity(size)
        var right = Self.identity(size)
        for row in 0..<size {
            for column in 0..<size {
                left[row, column] -= self[column, row]
                right[row, column] += self[column, row]
            }
        }
        for pivot in 0..<size {
            var best = pivot
            for row in pivot..<size where abs(left[row, pivot]) > abs(left[best, pivot]) { best = row }
            if best != pivot {
                for column in 0..<size {
                    (left[pivot, column], left[best, column]) = (left[best, column], left[pivot, column])
                    (right[pivot, column], right[best, column]) = (right[best, column], right[pivot, column])
                }
            }
            let scale = 1 / left[pivot, pivot]
            for row in 0..<size where row != pivot {
                let factor = left[row, pivot] * scale
                guard factor != 0 else { continue }
                for column in 0..<size {
                    left[row, column] -= factor * left[pivot, column]
                    right[row, column] -= factor * right[pivot, column]
                }
            }
        }
        var solution = SquareMatrix(size: size)
        for row in 0..<size {
            for column in 0..<size { solution[column, row] = right[row, column] / left[row, row] }
        }
        return solution
    }
}
