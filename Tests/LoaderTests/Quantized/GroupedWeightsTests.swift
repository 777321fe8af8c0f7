import DoraTensor
import DoraText
import Testing

@testable import DoraLoader

/// Codes, scales and zero points of a checkpoint, as the kernels keep them.
@Suite struct GroupedWeightsTests {
    /// A matrix of 37 rows whose numbers follow from their places.
    private struct Numbers {
        let bits: Int
        let columns: Int
        let group: Int
        /// That of symmetric codes, or one for each group.
        let isSymmetric: Bool
        let scaleType: ElementType
        /// Neighbours lie in groups far apart, as with `desc_act`.
        var isOrdered = false

        let rows = 37
        var groups: Int { (columns + group - 1) / group }

        func group(of column: Int) -> Int {
            // A stride that shares no factor with the columns visits each once.
            let stride = (columns / 2..<columns).first { isCoprime($0, columns) } ?? 1
            return (isOrdered ? column * stride % columns : column) / group
        }
        private func isCoprime(_ a: Int, _ b: Int) -> Bool { b == 0 ? a == 1 : isCoprime(b, a % b) }

        func code(_ row: Int, _ column: Int) -> Int { (row * 7 + column * 5 + column / 16) % (1 << bits) }
        func zero(_ row: Int, _ group: Int) -> Int {
            isSymmetric ? 1 << (bits - 1) : (row + 3 * group) % (1 << bits)
        }
        func scale(_ row: Int, _ group: Int) -> Float {
            rounded(0.0137 * Float(1 + (row * 13 + group * 29) % 31))
        }
        /// To the type of the scales, number by number.
        func rounded(_ value: Float) -> Float {
            switch scaleType {
            case .f16: Float(Float16(value))
            case .bf16: value.roundedToBrain
            default: value
            }
        }

        var expected: [Float] {
            (0..<rows * columns).map { index in
                let (row, column) = index.quotientAndRemainder(dividingBy: columns)
                let group = group(of: column)
                return rounded(Float(code(row, column) - zero(row, group)) * scale(row, group))
            }
        }

        func weights() throws -> GroupedWeights {
            func tensor(_ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) throws -> TensorView {
                try TensorView(name: "t", file: "f", elementType: type, shape: shape, bytes: bytes)
            }
            func littleEndian<Number>(_ number: Number) -> [UInt8] {
                withUnsafeBytes(of: number) { Array($0) }
            }
            let perWord = 32 / bits
            let (wordColumns, wordRows) = ((columns + perWord - 1) / perWord, (rows + perWord - 1) / perWord)
            let words = (0..<rows * wordColumns).flatMap { index in
                let (row, first) = (index / wordColumns, index % wordColumns * perWord)
                let word = (first..<min(first + perWord, columns)).reduce(UInt32(0)) { word, column in
                    word | UInt32(code(row, column)) << UInt32((column - first) * bits)
                }
                return littleEndian(word)
            }
            let zeroWords = (0..<wordRows * groups).flatMap { index in
                let (first, group) = (index / groups * perWord, index % groups)
                let word = (first..<min(first + perWord, rows)).reduce(UInt32(0)) { word, row in
                    word | UInt32(zero(row, group)) << UInt32((row - first) * bits)
                }
                return littleEndian(word)
            }
            let scaleBytes = (0..<rows * groups).flatMap { index in
                let value = scale(index / groups, index % groups)
                return switch scaleType {
                case .f16: littleEndian(Float16(value))
                case .bf16: littleEndian(UInt16(truncatingIfNeeded: value.bitPattern >> 16))
                default: littleEndian(value)
                }
            }
            let layout = PackedIntegers.Layout(bits: bits, axis: .columns)
            return try GroupedWeights(
                codes: PackedIntegers(
                    tensor(.i32, [rows, wordColumns], words), rows: rows, columns: columns, layout: layout,
                    advice: ""),
                scales: GroupScales(
                    tensor(scaleType, [rows, groups], scaleBytes), rows: rows, groups: groups, advice: ""),
                zeros: isSymmetric
                    ? .constant(1 << UInt8(bits - 1))
                    : .packed(
                        PackedIntegers(
                            tensor(.i32, [wordRows, groups], zeroWords), rows: rows, columns: groups,
                            layout: .init(bits: bits, axis: .rows), advice: "")),
                groups: isOrdered ? .listed((0..<columns).map { Int32(group(of: $0)) }) : .neighbours(group),
                in: ModuleTensors(
                    checkpoint: Checkpoint(
                        SafetensorsFile(bytes: SafetensorsWriter().bytes, path: "f"), folder: "f"),
                    module: "m", rows: rows, columns: columns))
        }
    }

    private func check(_ numbers: Numbers, isKept: Bool = true) throws {
        let compute = try Compute(threads: 2)
        let source = try numbers.weights()
        func decoded(_ source: any WeightSource) -> [UInt32] {
            var values = [Float](repeating: .nan, count: numbers.rows * numbers.columns)
            source.decode(rows: 0..<numbers.rows, into: &values, on: compute)
            return values.map(\.bitPattern)
        }
        let expected = numbers.expected.map(\.bitPattern)
        #expect(decoded(source) == expected)
        #expect(source.isExact(in: source.nativeFormat) == isKept, "\(source.nativeFormat)")
        let matrix = try source.packed(as: source.nativeFormat, on: compute)
        #expect((matrix.inputOrder != nil) == (numbers.isOrdered && isKept))
        guard isKept else { return }
        let stored = PackedWeights(matrix: matrix, values: .tiles(roundedTo: source.codeRounding))
        #expect(decoded(stored) == expected)
    }

    /// Groups of the kernels' own widths, of multiples of them, of a whole row, and rows that groups do not fill.
    @Test(
        arguments: [
            (256, 32), (320, 64), (384, 128), (384, 192), (480, 96), (100, 100), (160, 64), (448, 256),
        ], [ElementType.f32, .f16, .bf16])
    func whatIsStoredIsV(shape: (Int, Int), type: ElementType) throws {
        let (columns, group) = shape
        for bits in [2, 4, 8] {
            for isSymmetric in [true, false] {
                let numbers = Numbers(
                    bits: bits, columns: columns, group: group, isSymmetric: isSymmetric, scaleType: type)
                try check(numbers, isKept: bits < 8 || isSymmetric && type != .f32)
            }
        }
    }

    /// `desc_act`: the groups are neighbours in an order of the inputs.
    @Test(arguments: [(256, 32), (320, 64), (384, 128), (160, 64)], [4, 8])
    func orderedInputsAreStoredGroupByGroup(shape: (Int, Int), bits: Int) throws {
        try check(
            Numbers(
                bits: bits, columns: shape.0, group: shape.1, isSymmetric: true, scaleType: .f16,
                isOrdered: true))
        guard bits == 4 else { return }
        try check(
            Numbers(
                bits: 4, columns: shape.0, group: shape.1, isSymmetric: false, scaleType: .bf16,
                isOrdered: true))
    }

    /// Where every zero point is that of symmetric codes and F16 holds the scales, they are all that is stored.
    @Test func symmetricCodesTakeTheirBitsAndAScale() throws {
        func bits(_ group: Int, _ type: ElementType, isSymmetric: Bool, bits: Int = 4) throws -> Double {
            let source = try Numbers(
                bits: bits, columns: 256, group: group, isSymmetric: isSymmetric, scaleType: type
            ).weights()
            return Double(8 * source.nativeFormat.byteCount(rows: 16, columns: 256)) / (16 * 256)
        }
        #expect(try bits(128, .f16, isSymmetric: true) == 4.125)
        #expect(try bits(128, .f16, isSymmetric: false) == 4.3125)
        #expect(try bits(32, .bf16, isSymmetric: true) == 4.5)
        #expect(try bits(32, .f32, isSymmetric: true) == 5.25)
        #expect(try bits(32, .bf16, isSymmetric: true, bits: 8) == 8.5)
        #expect(try bits(128, .f16, isSymmetric: true, bits: 8) == 8.25)
    }

    @Test func groupsThatTheKernelsDoNotHaveBecomeQ8() throws {
        for isOrdered in [true, false] {
            try check(
                Numbers(
                    bits: 4, columns: 96, group: 48, isSymmetric: true, scaleType: .f16, isOrdered: isOrdered),
                isKept: false)
        }
        let uneven = InputGroups.listed([0, 0, 0, 1, 1, 2, 2, 2])
        #expect(uneven.asNeighbours() == nil)
    }
}
