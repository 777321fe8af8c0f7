import DoraTensor
import Testing

/// A matrix may hold its inputs in an order of its own; nobody outside sees it.
@Suite struct InputOrderTests {
    private static let (rows, columns, tokens) = (33, 172, 13)

    private func matrix(
        _ weights: [Float], _ format: MatrixFormat, _ order: InputOrder?, on compute: Compute
    ) throws -> PackedMatrix {
        let columns = Self.columns
        return try PackedMatrix.build(
            rows: Self.rows, columns: columns, format: format, inputOrder: order, on: compute
        ) { tile, builder in
            var block = [Float](repeating: 0, count: 16 * columns)
            for index in 0..<min(16, Self.rows - 16 * tile) * columns {
                let (row, place) = index.quotientAndRemainder(dividingBy: columns)
                let column = order.map { Int($0.inputs[place]) } ?? place
                block[index] = weights[(16 * tile + row) * columns + column]
            }
            builder.store(tile: tile, rows: block)
        }
    }

    /// Every third input: no block keeps its own.
    private static func order(_ shift: Int) -> InputOrder? {
        InputOrder((0..<columns).map { Int32(($0 * 3 + shift) % columns) })
    }

    @Test func anOrderNamesEachInputOnce() {
        #expect(InputOrder([1, 0, 2]) != nil)
        for inputs: [Int32] in [[0, 0, 1], [0, 1, 3], [-1, 0, 1]] { #expect(InputOrder(inputs) == nil) }
    }

    @Test func tilesAreUnpackedInTheOrderOfTheModel() throws {
        var noise = Noise(seed: 3)
        let compute = try Compute(threads: 1)
        let weights = noise.floats(Self.rows * Self.columns)
        let stored = try matrix(weights, .f32, Self.order(5), on: compute)
        var tile = [Float](repeating: .nan, count: 16 * Self.columns)
        stored.unpack(tile: 1, into: &tile, on: compute)
        #expect(tile == Array(weights[16 * Self.columns..<32 * Self.columns]))
    }

    /// Matrices in two orders, and one in the model's, by the same activations, step after step: each as if it were alone
    /// and its inputs and those of the activations were where it has them.
    @Test(arguments: [MatrixFormat.f32, .q8]) func productsMeetTheirInputs(format: MatrixFormat) throws {
        var noise = Noise(seed: 9)
        let compute = try Compute(threads: 2)
        let orders = [Self.order(5), nil, Self.order(40), Self.order(5)]
        let weights = orders.map { _ in noise.floats(Self.rows * Self.columns) }
        let matrices = try zip(weights, orders).map { try matrix($0, format, $1, on: compute) }
        let input = try Activations(capacity: Self.tokens, columns: Self.columns)
        for count in [Self.tokens, 1] {
            let x = noise.floats(count * Self.columns, scale: 3)
            input.floats.update(from: x, count: x.count)
            input.refill(tokens: count)
            let found = try products(matrices, input, count: count, on: compute)
            for (index, order) in orders.enumerated() {
                let alone = try Activations(capacity: count, columns: Self.columns)
                for place in 0..<count * Self.columns {
                    let (token, column) = place.quotientAndRemainder(dividingBy: Self.columns)
                    let from = order.map { Int($0.inputs[column]) } ?? column
                    alone.floats[place] = x[token * Self.columns + from]
                }
                alone.refill(tokens: count)
                let expected = try products([plain(matrices[index])], alone, count: count, on: compute)[0]
                #expect(found[index].map(\.bitPattern) == expected.map(\.bitPattern), "\(index)")
            }
        }
    }

    /// The same bytes without an order.
    private func plain(_ matrix: PackedMatrix) throws -> PackedMatrix {
        try matrix.withArrays { codes, scales in
            try PackedMatrix(
                rows: matrix.rows, columns: matrix.columns, format: matrix.format,
                mappedCodes: SharedBytes(codes, of: matrix), scales: SharedBytes(scales, of: matrix))
        }
    }

    private func products(
        _ matrices: [PackedMatrix], _ input: Activations, count: Int, on compute: Compute
    ) throws -> [[Float]] {
        let size = count * Self.rows
        var out = [Float](repeating: .nan, count: matrices.count * size)
        try out.withUnsafeMutableBufferPointer { out in
            let start = try #require(out.baseAddress)
            try input.multiply(
                matrices.enumerated().map { index, matrix in
                    Activations.Product(by: matrix, into: start + index * size, stride: Self.rows)
                }, on: compute)
        }
        return matrices.indices.map { Array(out[$0 * size..<($0 + 1) * size]) }
    }
}
