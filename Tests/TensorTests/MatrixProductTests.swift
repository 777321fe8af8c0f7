import DoraTensor
import Testing

/// A seeded generator, so that a failing case can be run again.
struct Noise {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
    /// Uniform in -1..<1.
    mutating func float() -> Float { Float(next() & 0xFFFFFF) / Float(0x800000) - 1 }
    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in float() * scale }
    }
}

private let nf4: [Float] = [
    -1, -0.69619280, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0, 0.07958030,
    0.16093020,
    0.24611230, 0.33791524, 0.44070983, 0.56261700, 0.72295684, 1,
]
/// Groups of four blocks, so that they begin within rows.
private let nesting = ScaleNesting(
    map: (0..<256).map { Float($0) / 127.5 - 1 }, groupMaxima: (0..<200).map { 0.4 - Float($0 % 7) / 50 },
    offset: 0.6, groupShift: 2)
private let formats: [MatrixFormat] =
    [
        .f32, .f16, .bf16, .q8, .q4(Codebook(values: nf4)), .q4Nested(Codebook(values: nf4), nesting), .q8Row,
        .q8_0,
        .affine(.scales), .affine(.minima), .affine(.nested), .q6_K,
    ]
    + [64, 128].flatMap { group in
        [.scales, .minima, .points].compactMap { AffineScaling($0, group: group).map(MatrixFormat.affine) }
    }

/// Records of sixteen rows: scales below 1, and what else stands there.
private func scaleRecords(_ format: MatrixFormat, columns: Int) -> [UInt8] {
    var noise = Noise(seed: 5)
    func half() -> [UInt8] { withUnsafeBytes(of: Float16(noise.float())) { Array($0) } }
    func float() -> [UInt8] { withUnsafeBytes(of: noise.float()) { Array($0) } }
    func byte(below limit: UInt64) -> UInt8 { UInt8(noise.next() % limit) }
    func record() -> [UInt8] {
        if format == .q6_K { return half() + (0..<16).map { _ in byte(below: 256) } }
        guard case .affine(let scaling) = format else { return half() }
        return switch scaling.record {
        case .scales: half()
        case .minima: half() + half()
        case .points: float() + [byte(below: 17)]
        case .nested: half() + half() + (0..<16).map { _ in byte(below: 64) }
        }
    }
    var bytes: [UInt8] = []
    while bytes.count < PackedMatrix.tileRows * format.scaleBytes(columns: columns) { bytes += record() }
    return bytes
}

private func pack(
    _ weights: [Float], rows: Int, columns: Int, format: MatrixFormat, on compute: Compute
) throws -> PackedMatrix {
    try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) { tile, builder in
        var block = [Float](repeating: 0, count: PackedMatrix.tileRows * columns)
        let first = tile * PackedMatrix.tileRows
        for row in first..<min(first + PackedMatrix.tileRows, rows) {
            for column in 0..<columns {
                block[(row - first) * columns + column] = weights[row * columns + column]
            }
        }
        switch format {
        case .f32, .f16, .bf16, .q8, .q4: builder.store(tile: tile, rows: block)
        case .q8Row:
            let codes = block.map { UInt8(bitPattern: Int8(($0 * 127).rounded())) }
            builder.store(
                tile: tile, codes: codes, scales: [Float](repeating: 1, count: PackedMatrix.tileRows))
        case .q8_0:
            let codes = block.map { UInt8(bitPattern: Int8(($0 * 127).rounded())) }
            builder.store(tile: tile, codes: codes, scales: scaleRecords(format, columns: columns))
        case .affine:
            builder.store(
                tile: tile, codes: block.map { UInt8(($0 + 1) * 7.99) },
                scales: scaleRecords(format, columns: columns))
        case .q6_K:
            builder.store(
                tile: tile, codes: block.map { UInt8(($0 + 1) * 31.99) },
                scales: scaleRecords(format, columns: columns))
        case .q4Nested:
            let scales = PackedMatrix.tileRows * columns.roundedUp(to: 64) / 64
            builder.store(
                tile: tile, codes: block.map { UInt8(($0 + 1) * 7.99) },
                scales: (0..<scales).map { UInt8(truncatingIfNeeded: 37 * $0) })
        }
    }
}

private func unpacked(_ matrix: PackedMatrix, on compute: Compute) -> [Float] {
    var rows: [Float] = []
    var tile = [Float](repeating: 0, count: PackedMatrix.tileRows * matrix.columns)
    for index in 0..<matrix.tileCount {
        matrix.unpack(tile: index, into: &tile, on: compute)
        rows += tile.prefix(matrix.rowRange(ofTile: index).count * matrix.columns)
    }
    return rows
}

private func product(
    _ matrix: PackedMatrix, _ x: [Float], tokens: Int, secondTerms: SecondTerms = .peaks,
    on compute: Compute
) throws -> [Float] {
    let activations = try Activations(capacity: tokens, columns: matrix.columns, secondTerms: secondTerms)
    activations.floats.update(from: x, count: x.count)
    activations.refill(tokens: tokens)
    var out = [Float](repeating: .nan, count: tokens * matrix.rows)
    try out.withUnsafeMutableBufferPointer { out in
        guard let start = out.baseAddress else { return }
        try activations.multiply(
            [Activations.Product(by: matrix, into: start, stride: matrix.rows)], on: compute)
    }
    return out
}

private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// Rows no multiple of the tile, inputs no multiple of a block, tokens around the group.
private let shapes = [(1, 8, 1), (16, 64, 2), (17, 100, 5), (33, 172, 13), (70, 320, 31), (5, 65, 12)]

@Suite struct MatrixProductTests {
    @Test(arguments: formats) func everyInstructionSetGivesTheSameBits(format: MatrixFormat) throws {
        var noise = Noise(seed: 7)
        let portable = try Compute(threads: 1, kernels: "portable")
        for (rows, columns, tokens) in shapes {
            let weights = noise.floats(rows * columns)
            let x = noise.floats(tokens * columns, scale: 3)
            let expected = try product(
                pack(weights, rows: rows, columns: columns, format: format, on: portable), x, tokens: tokens,
                on: portable)
            #expect(!expected.contains { $0.isNaN })
            for name in Compute.availableKernels {
                let compute = try Compute(threads: 2, kernels: name)
                let matrix = try pack(weights, rows: rows, columns: columns, format: format, on: compute)
                let found = try product(matrix, x, tokens: tokens, on: compute)
                #expect(bits(found) == bits(expected), "\(name), \(rows) x \(columns), \(tokens) tokens")
            }
        }
    }

    @Test(arguments: formats) func aTokenAloneGivesTheBitsItGivesInABatch(format: MatrixFormat) throws {
        var noise = Noise(seed: 11)
        let compute = try Compute(threads: 2)
        let (rows, columns, tokens) = (37, 192, 29)
        let matrix = try pack(
            noise.floats(rows * columns), rows: rows, columns: columns, format: format, on: compute)
        let x = noise.floats(tokens * columns)
        let together = try product(matrix, x, tokens: tokens, on: compute)
        for token in 0..<tokens {
            let alone = try product(
                matrix, Array(x[token * columns..<(token + 1) * columns]), tokens: 1, on: compute)
            #expect(bits(alone) == bits(Array(together[token * rows..<(token + 1) * rows])))
        }
    }

    /// Against the product of the decoded weights in double: only the activations' rounding is left.
    @Test(arguments: formats) func productsAreThoseOfTheDecodedWeights(format: MatrixFormat) throws {
        var noise = Noise(seed: 13)
        let compute = try Compute(threads: 1)
        for (rows, columns, tokens) in shapes {
            let matrix = try pack(
                noise.floats(rows * columns), rows: rows, columns: columns, format: format, on: compute)
            let decoded = unpacked(matrix, on: compute)
            let x = noise.floats(tokens * columns)
            let found = try product(matrix, x, tokens: tokens, on: compute)
            for token in 0..<tokens {
                for row in 0..<rows {
                    var expected = 0.0
                    var magnitude = 0.0
                    for column in 0..<columns {
                        let term =
                            Double(decoded[row * columns + column]) * Double(x[token * columns + column])
                        expected += term
                        magnitude += term * term
                    }
                    let tolerance = (format.isQuantized ? 2e-2 : 4e-6) * magnitude.squareRoot() + 1e-6
                    #expect(abs(Double(found[token * rows + row]) - expected) <= tolerance)
                }
            }
        }
    }

    /// maddubs saturates and vpdpbusds would: the largest codes of both signs must not.
    @Test func extremeCodesDoNotSaturate() throws {
        for name in Compute.availableKernels {
            let compute = try Compute(threads: 1, kernels: name)
            for (weight, activation) in [(Float(1), Float(1)), (-1, 1), (1, -1), (-1, -1)] {
                let matrix = try pack(
                    [Float](repeating: weight, count: 16 * 256), rows: 16, columns: 256, format: .q8Row,
                    on: compute)
                let found = try product(
                    matrix, [Float](repeating: activation, count: 256), tokens: 1, on: compute)
                #expect(found.allSatisfy { abs($0 - 256 * weight * activation) < 1e-2 }, "\(name)")
            }
        }
    }

    /// Rows that another format has put into integers already get what this one wants beside them.
    @Test func rowsServeFormatsOfEveryKindInAnyOrder() throws {
        let (columns, tokens) = (256, 5)
        var noise = Noise(seed: 8)
        let weights = noise.floats(32 * columns), x = noise.floats(tokens * columns)
        for name in Compute.availableKernels {
            let compute = try Compute(threads: 1, kernels: name)
            let matrices = try [MatrixFormat.q8, .q6_K, .q8].map {
                try pack(weights, rows: 32, columns: columns, format: $0, on: compute)
            }
            let activations = try Activations(capacity: tokens, columns: columns)
            for _ in 0..<2 {
                activations.floats.update(from: x, count: x.count)
                activations.refill(tokens: tokens)
                for matrix in matrices {
                    var out = [Float](repeating: .nan, count: tokens * 32)
                    try out.withUnsafeMutableBufferPointer { out in
                        guard let start = out.baseAddress else { return }
                        try activations.multiply(
                            [Activations.Product(by: matrix, into: start, stride: 32)], on: compute)
                    }
                    #expect(
                        bits(out) == bits(try product(matrix, x, tokens: tokens, on: compute)), "\(name)")
                }
            }
        }
    }

    /// Sixteen products of 32 and 127 come as close to 16 bits as they can; all of a block's, times a factor, need 26.
    @Test func extremeCodesOfSixBitsDoNotSaturate() throws {
        let factors: [Int8] = [-128, 127]
        for name in Compute.availableKernels {
            let compute = try Compute(threads: 1, kernels: name)
            for (code, factor, activation) in [UInt8(0), 63].flatMap({ code in
                factors.flatMap { factor in [Float(1), -1].map { (code, factor, $0) } }
            }) {
                let record =
                    withUnsafeBytes(of: Float16(0.0625)) { Array($0) }
                    + [UInt8](repeating: UInt8(bitPattern: factor), count: 16)
                let matrix = try PackedMatrix.build(rows: 16, columns: 256, format: .q6_K, on: compute) {
                    $1.store(
                        tile: $0, codes: [UInt8](repeating: code, count: 16 * 256),
                        scales: [[UInt8]](repeating: record, count: 16).flatMap { $0 })
                }
                let expected = 256 * activation * Float(Int(code) - 32) * Float(factor) * 0.0625
                for tokens in [1, 13] {
                    let found = try product(
                        matrix, [Float](repeating: activation, count: tokens * 256), tokens: tokens,
                        on: compute)
                    #expect(found.allSatisfy { abs($0 / expected - 1) < 1e-5 }, "\(name), \(code), \(factor)")
                }
            }
        }
    }

    /// Against the product of the decoded weights in double, of rows in which some blocks have a peak: 8 bits round by
    /// the peak, 16 bits by a 254th of that; auto is 8 where there is none, and near 16 where all blocks have one.
    @Test(arguments: formats.filter(\.isQuantized), [1, 5, 30]) func precisionIsWhatItSays(
        format: MatrixFormat, tokens: Int
    ) throws {
        var noise = Noise(seed: 19)
        let compute = try Compute(threads: 2)
        let (rows, columns) = (40, 640)
        let matrix = try pack(
            noise.floats(rows * columns), rows: rows, columns: columns, format: format, on: compute)
        let decoded = unpacked(matrix, on: compute)
        func error(_ x: [Float], _ secondTerms: SecondTerms) throws -> Double {
            let found = try product(matrix, x, tokens: tokens, secondTerms: secondTerms, on: compute)
            var sum = 0.0
            for token in 0..<tokens {
                for row in 0..<rows {
                    let exact = (0..<columns).reduce(0.0) {
                        $0 + Double(decoded[row * columns + $1]) * Double(x[token * columns + $1])
                    }
                    sum +=
                        (Double(found[token * rows + row]) - exact)
                        * (Double(found[token * rows + row]) - exact)
                }
            }
            return (sum / Double(tokens * rows)).squareRoot()
        }
        var x = noise.floats(tokens * columns)
        #expect(try error(x, .peaks) == error(x, .none))
        #expect(try error(x, .all) < error(x, .none) / 100)
        for block in 0..<tokens * columns / 64 { x[64 * block + block % 64] = 20 }
        #expect(try error(x, .peaks) == error(x, .all))
        #expect(try error(x, .all) < error(x, .none) / 100)
        // A peak in every other block: between.
        for block in 0..<tokens * columns / 64 where block % 2 == 1 { x[64 * block + block % 64] = 0.5 }
        let (eight, auto, sixteen) = (try error(x, .none), try error(x, .peaks), try error(x, .all))
        #expect(auto < eight / 8 && auto > sixteen * 2)
    }

    @Test(arguments: formats.filter(\.isQuantized), [SecondTerms.none, .all, .peaks])
    func everyKernelSetGivesTheSameBitsWithPeaks(format: MatrixFormat, secondTerms: SecondTerms) throws {
        var noise = Noise(seed: 23)
        let portable = try Compute(threads: 1, kernels: "portable")
        let (rows, columns) = (50, 448)
        let weights = noise.floats(rows * columns)
        for tokens in [1, 2, 3, 7, 12, 13, 29, 30, 42] {
            var x = noise.floats(tokens * columns)
            for block in 0..<tokens * columns / 64 where block * 7 % 10 < 3 {
                x[64 * block + block % 64] = 20
            }
            let expected = try product(
                pack(weights, rows: rows, columns: columns, format: format, on: portable), x, tokens: tokens,
                secondTerms: secondTerms, on: portable)
            for name in Compute.availableKernels {
                let compute = try Compute(threads: 2, kernels: name)
                let matrix = try pack(weights, rows: rows, columns: columns, format: format, on: compute)
                let found = try product(matrix, x, tokens: tokens, secondTerms: secondTerms, on: compute)
                #expect(bits(found) == bits(expected), "\(name), \(tokens) tokens")
                // Nor does a token's company matter.
                let alone = try product(
                    matrix, Array(x.suffix(columns)), tokens: 1, secondTerms: secondTerms, on: compute)
                #expect(bits(alone) == bits(Array(expected.suffix(rows))), "\(name), \(tokens) tokens")
            }
        }
    }

    /// Activation scales are per block of 64 inputs: a channel a thousand times the others spoils only its block.
    @Test(arguments: formats) func anOutlierChannelLeavesTheOtherBlocksAlone(format: MatrixFormat) throws {
        var noise = Noise(seed: 17)
        let compute = try Compute(threads: 1)
        let columns = 512
        var weights = noise.floats(16 * columns)
        for row in 0..<16 { weights[row * columns + 5] = 0 }
        let matrix = try pack(weights, rows: 16, columns: columns, format: format, on: compute)
        // What 4 bits hold for zero is next to it.
        let decoded = unpacked(matrix, on: compute)
        var x = noise.floats(columns)
        for column in 0..<64 { x[column] = 0 }
        let before = try product(matrix, x, tokens: 1, on: compute)
        x[5] = 1000
        let after = try product(matrix, x, tokens: 1, on: compute)
        for row in 0..<16 {
            let added = 1000 * decoded[row * columns + 5]
            #expect(abs(after[row] - before[row] - added) <= 1e-2 * abs(before[row]) + 1e-4)
        }
    }

    @Test func nonFiniteActivationsAreNotHidden() throws {
        let compute = try Compute(threads: 1)
        for format in formats {
            let matrix = try pack(
                [Float](repeating: 0.5, count: 16 * 64), rows: 16, columns: 64, format: format, on: compute)
            for bad in [Float.nan, .infinity] {
                var x = [Float](repeating: 1, count: 64)
                x[3] = bad
                let found = try product(matrix, x, tokens: 1, on: compute)
                #expect(found.allSatisfy { !$0.isFinite }, "\(format.name)")
            }
        }
    }
}

@Suite struct PackingTests {
    @Test func floatFormatsKeepTheirOwnValues() throws {
        let compute = try Compute(threads: 1)
        // Subnormal, smallest, largest and ordinary halves.
        let halves: [Float] = [0, 5.9604645e-08, 6.1035156e-05, 65504, -1.5, 0.33325195, -0.0, 3.0517578e-05]
        #expect(
            bits(unpacked(try pack(halves, rows: 1, columns: 8, format: .f16, on: compute), on: compute))
                == bits(halves))
        let brains: [Float] = [0, 1e30, -3.390625, 0.0078125, 1.1754944e-38, 255, -0.0, 2]
        let brainBits = bits(brains).map { $0 & 0xFFFF_0000 }.map(Float.init(bitPattern:))
        #expect(
            bits(unpacked(try pack(brainBits, rows: 1, columns: 8, format: .bf16, on: compute), on: compute))
                == bits(brainBits))
    }

    @Test func q8RoundsWithinHalfAStepOfItsBlock() throws {
        var noise = Noise(seed: 3)
        let compute = try Compute(threads: 1)
        for scale: Float in [1e-6, 1e-3, 1, 1e4] {
            let weights = noise.floats(16 * 96, scale: scale)
            let found = unpacked(
                try pack(weights, rows: 16, columns: 96, format: .q8, on: compute), on: compute)
            for (row, start) in (0..<16).flatMap({ row in [(row, 0), (row, 64)] }) {
                let range = row * 96 + start..<row * 96 + min(start + 64, 96)
                let absmax = weights[range].map(abs).max() ?? 0
                // Half scales below 6e-5 are subnormal: their step is 6e-8.
                let step = absmax / 127 * 1.001 + 6e-8
                for index in range { #expect(abs(found[index] - weights[index]) <= step / 2 * 1.01) }
            }
        }
    }

    @Test func q4PicksTheNearestLevel() throws {
        var noise = Noise(seed: 5)
        let compute = try Compute(threads: 1)
        let book = Codebook(values: nf4)
        let weights = noise.floats(16 * 64)
        let found = unpacked(
            try pack(weights, rows: 16, columns: 64, format: .q4(book), on: compute), on: compute)
        for row in 0..<16 {
            let absmax = (0..<64).map { abs(weights[row * 64 + $0]) }.max() ?? 0
            for column in 0..<64 {
                let weight = weights[row * 64 + column]
                let best =
                    book.levels.map { abs((Float($0) - book.zero) * book.unit * absmax - weight) }.min() ?? 0
                #expect(abs(found[row * 64 + column] - weight) <= best + 1e-6)
            }
        }
    }

    @Test func theCodebookKeepsNF4WithinAFifthOfAPercentInTheMean() {
        let book = Codebook(values: nf4)
        let errors = zip(book.levels, nf4).map { (Float($0) - book.zero) * book.unit - $1 }
        #expect(errors.allSatisfy { abs($0) < 0.005 })
        #expect((errors.map { $0 * $0 }.reduce(0, +) / 16).squareRoot() < 0.0015)
    }

    @Test func unknownKernelsAreNamed() {
        #expect(throws: ComputeError.unknownKernels("sse", available: Compute.availableKernels)) {
            try Compute(threads: 1, kernels: "sse")
        }
    }

    @Test func everyTaskRunsOnceWhateverTheThreads() throws {
        for threads in [1, 2, 5] {
            let compute = try Compute(threads: threads)
            for count in [0, 1, 3, 1000] {
                let hits = try AlignedMemory(byteCount: max(count, 1) * 4)
                let counters = hits.pointer.assumingMemoryBound(to: Int32.self)
                for _ in 0..<20 { compute.parallel(count) { counters[$0] += 1 } }
                #expect((0..<count).allSatisfy { counters[$0] == 20 })
            }
        }
    }
}
