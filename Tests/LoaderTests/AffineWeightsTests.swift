import DoraTensor
import Testing

@testable import DoraLoader

/// Codes, scales and zero points of a checkpoint, as the kernels keep them.
@Suite struct AffineWeightsTests {
    private struct Codes: AffineCodes {
        let columns: Int
        let group: Int
        let zero: UInt8?
        let scaleType: ElementType

        var groups: Int { (columns + group - 1) / group }

        func code(_ row: Int, _ column: Int) -> UInt8 { UInt8((row * 7 + column * 5 + column / 16) % 16) }
        func zero(_ row: Int, _ index: Int) -> UInt8 { zero ?? UInt8((row + 3 * index) % 17) }
        func scale(_ row: Int, _ index: Int) -> Float {
            rounded(0.0137 * Float(1 + (row * 13 + index * 29) % 31))
        }
        /// To the type of the scales, number by number.
        func rounded(_ value: Float) -> Float {
            switch scaleType {
            case .f16: Float(Float16(value))
            case .bf16: value.roundedToBrain
            default: value
            }
        }

        func readCodes(rows: Range<Int>, into out: UnsafeMutablePointer<UInt8>) {
            for row in rows {
                for column in 0..<columns {
                    out[(row - rows.lowerBound) * columns + column] = code(row, column)
                }
            }
        }

        func readGroups(
            rows: Range<Int>, scales: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<UInt8>
        ) {
            for row in rows {
                for index in 0..<groups {
                    scales[(row - rows.lowerBound) * groups + index] = scale(row, index)
                    zeros[(row - rows.lowerBound) * groups + index] = zero(row, index)
                }
            }
        }

        func dropPages(rows: Range<Int>) {}
    }

    private static let rows = 37

    /// Groups of the kernels' own widths, of multiples of them, of a whole row, and rows that groups do not fill.
    @Test(
        arguments: [
            (256, 32), (320, 64), (384, 128), (384, 192), (480, 96), (100, 1 << 20), (160, 64), (448, 256),
        ], [ElementType.f32, .f16, .bf16])
    func whatIsStoredIsV(shape: (Int, Int), type: ElementType) throws {
        let (columns, group) = shape
        let compute = try Compute(threads: 2)
        for zero in [UInt8?.some(8), nil] {
            let codes = Codes(columns: columns, group: min(group, columns), zero: zero, scaleType: type)
            let source = try #require(
                AffineWeights(
                    codes, rows: Self.rows, columns: columns, group: group, scaleType: type,
                    isSymmetric: zero != nil, roundedTo: type))
            var expected: [Float] = []
            for row in 0..<Self.rows {
                for column in 0..<columns {
                    let index = column / codes.group
                    expected.append(
                        Float(Int(codes.code(row, column)) - Int(codes.zero(row, index)))
                            * codes.scale(row, index))
                }
            }
            expected = expected.map(codes.rounded)
            var decoded = [Float](repeating: .nan, count: Self.rows * columns)
            source.decode(rows: 0..<Self.rows, into: &decoded, on: compute)
            #expect(decoded.map(\.bitPattern) == expected.map(\.bitPattern))

            let matrix = try source.packed(as: source.nativeFormat, on: compute)
            let stored = PackedWeights(matrix: matrix, values: .tiles(roundedTo: source.codeRounding))
            var unpacked = [Float](repeating: .nan, count: Self.rows * columns)
            stored.decode(rows: 0..<Self.rows, into: &unpacked, on: compute)
            #expect(unpacked.map(\.bitPattern) == expected.map(\.bitPattern))
        }
    }

    /// Where every zero point is 8 and scales are F16, they are all that is stored.
    @Test func symmetricCodesTakeFourBitsAndAScale() throws {
        func bits(_ group: Int, _ type: ElementType, zero: UInt8?) throws -> Double {
            let codes = Codes(columns: 256, group: group, zero: zero, scaleType: type)
            let source = try #require(
                AffineWeights(
                    codes, rows: 16, columns: 256, group: group, scaleType: type, isSymmetric: zero != nil,
                    roundedTo: type))
            return Double(8 * source.nativeFormat.byteCount(rows: 16, columns: 256)) / (16 * 256)
        }
        #expect(try bits(128, .f16, zero: 8) == 4.125)
        #expect(try bits(128, .f16, zero: nil) == 4.3125)
        #expect(try bits(32, .bf16, zero: 8) == 5.25)
    }

    @Test func groupsThatTheKernelsDoNotHaveAreNotTaken() {
        let codes = Codes(columns: 96, group: 48, zero: 8, scaleType: .f16)
        let source = AffineWeights(
            codes, rows: 16, columns: 96, group: 48, scaleType: .f16, isSymmetric: true, roundedTo: .f16)
        #expect(source == nil)
    }
}
