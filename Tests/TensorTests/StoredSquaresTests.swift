import Testing

@testable import DoraTensor

/// The norms of V + s B A straight from tiles: those of the rows that the tiles stand for, to the bit the same everywhere.
@Suite struct StoredSquaresTests {
    private static let codebook = Codebook(values: (0..<16).map { (Float($0) - 7.5) / 7.5 })
    private static let nesting = ScaleNesting(
        map: (0..<256).map { Float($0) / 255 }, groupMaxima: [Float](repeating: 0.5, count: 64), offset: 0.01,
        groupShift: 1)

    static let formats: [MatrixFormat] =
        [.f32, .f16, .bf16, .q8, .q8Row, .q8_0, .q6_K, .q4(codebook), .q4Nested(codebook, nesting)]
        + AffineScaling.Record.allCases.compactMap { AffineScaling($0, group: 32) }.map { .affine($0) }

    /// A matrix with codes and scales of all sizes.
    private static func matrix(
        _ format: MatrixFormat, rows: Int, columns: Int, on compute: Compute
    ) throws -> PackedMatrix {
        try PackedMatrix.build(rows: rows, columns: columns, format: format, on: compute) { tile, builder in
            let count = PackedMatrix.tileRows * columns
            if format.takesFloats {
                builder.store(
                    tile: tile, rows: (0..<count).map { Float(($0 * 7919 + tile) % 1009) / 1009 - 0.5 })
                return
            }
            let limit =
                switch format {
                case .q8Row, .q8_0: 256
                case .q6_K: 64
                default: 16
                }
            let codes = (0..<count).map { UInt8(($0 * 31 + tile) % limit) }
            // A half, or a float with or without a zero point.
            let bytes: [UInt8] =
                switch format {
                case .q8Row: [0, 0, 0x80, 0x3f]
                case .affine(let scaling) where scaling.record == .points: [0, 0, 0x80, 0x3e, 7]
                default: [0x5a, 0x2c]
                }
            let scales = (0..<format.scaleBytes(columns: columns) * PackedMatrix.tileRows).map {
                bytes[$0 % bytes.count]
            }
            scales.withUnsafeBytes { scales in
                guard let scales = scales.baseAddress else { return }
                builder.store(tile: tile, codes: codes, scales: scales)
            }
        }
    }

    private func squares(
        _ product: LowRankProduct, _ matrix: PackedMatrix, _ values: CodeValues, on compute: Compute
    ) -> [Double] {
        (0..<matrix.tileCount).flatMap { tile in
            var squares = [Double](repeating: .nan, count: PackedMatrix.tileRows)
            product.add(
                tile: tile, to: ExactMatrix(matrix: matrix, values: values).tile(tile), into: nil,
                squares: &squares, on: compute)
            return squares
        }
    }

    @Test(arguments: formats, [(64, 8), (100, 3), (328, 16), (1024, 17)])
    func areThoseOfTheRows(format: MatrixFormat, shape: (columns: Int, rank: Int)) throws {
        let (rows, columns, rank) = (40, shape.columns, shape.rank)
        let compute = try Compute(threads: 1)
        let matrix = try Self.matrix(format, rows: rows, columns: columns, on: compute)
        let b = (0..<rows * rank).map { Float(($0 * 31) % 17) / 17 - 0.4 }
        let a = (0..<rank * columns).map { Float(($0 * 73) % 29) / 29 - 0.6 }
        let product = LowRankProduct(b: b, a: a, rank: rank, columns: columns, scaling: 0.25)
        let found = squares(product, matrix, CodeValues(), on: compute)
        for tile in 0..<matrix.tileCount {
            var values = [Float](repeating: 0, count: PackedMatrix.tileRows * columns)
            matrix.unpack(tile: tile, into: &values, on: compute)
            for row in matrix.rowRange(ofTile: tile) {
                var wanted = 0.0
                for column in 0..<columns {
                    let added = (0..<rank).reduce(0.0) {
                        $0 + Double(b[row * rank + $1]) * Double(a[$1 * columns + column])
                    }
                    let sum = Double(values[row % PackedMatrix.tileRows * columns + column]) + 0.25 * added
                    wanted += sum * sum
                }
                #expect(abs(found[row] - wanted) <= 1e-6 * wanted, "row \(row)")
            }
        }
        for kernels in Compute.availableKernels {
            let other = try Compute(threads: 1, kernels: kernels)
            #expect(squares(product, matrix, CodeValues(), on: other) == found, "\(kernels)")
        }
    }

    /// A product of no ranks leaves V, of which the lanes are the rows.
    @Test(arguments: formats) func aTileIsItsFloats(format: MatrixFormat) throws {
        let (rows, columns) = (40, 100)
        let compute = try Compute(threads: 1)
        let matrix = try Self.matrix(format, rows: rows, columns: columns, on: compute)
        for tile in 0..<matrix.tileCount {
            var values = [Float](repeating: 0, count: PackedMatrix.tileRows * columns)
            matrix.unpack(tile: tile, into: &values, on: compute)
            let exact = ExactMatrix(matrix: matrix, values: CodeValues()).tile(tile)
            exact.withFloats(on: compute) { floats in
                for row in 0..<PackedMatrix.tileRows {
                    for column in 0..<columns {
                        #expect(
                            floats[column * PackedMatrix.tileRows + row] == values[row * columns + column])
                    }
                }
            }
        }
    }

    /// Levels are floats, not those of the codebook, and values are rounded one by one.
    @Test(arguments: [Compute.Rounding.none, .half, .brain])
    func valuesAreThoseThatAreNamed(rounding: Compute.Rounding) throws {
        let (rows, columns) = (PackedMatrix.tileRows, 128)
        let compute = try Compute(threads: 1)
        let levels = (0..<16).map { Float($0 - 8) / 7.3 }
        let matrix = try PackedMatrix.build(
            rows: rows, columns: columns, format: .q4(Self.codebook), on: compute
        ) { tile, builder in
            let scales = (0..<rows * columns / 64).map { 0.013 * Float($0 + 1) }
            builder.store(
                tile: tile, codes: (0..<rows * columns).map { UInt8($0 * 5 % 16) }, scales: scales)
        }
        let product = LowRankProduct(
            b: [Float](repeating: 0, count: rows), a: [Float](repeating: 0, count: columns), rank: 1,
            columns: columns, scaling: 1)
        var indices = [UInt8](repeating: 0, count: rows * columns)
        var scales = [Float](repeating: 0, count: rows * columns / 64)
        matrix.unpackCodes(tile: 0, codes: &indices, scales: &scales, on: compute)
        var values = [Float](repeating: 0, count: rows * columns)
        compute.lookUp(
            indices, count: rows * columns, values: levels, scales: scales, block: 64, rounding: rounding,
            into: &values)
        let wanted = (0..<rows).map { row in
            values[row * columns..<(row + 1) * columns].reduce(0.0) { $0 + Double($1) * Double($1) }
        }
        for kernels in Compute.availableKernels {
            let found = squares(
                product, matrix, CodeValues(levels: levels, rounding: rounding),
                on: try Compute(threads: 1, kernels: kernels))
            for (found, wanted) in zip(found, wanted) { #expect(abs(found - wanted) <= 1e-6 * wanted) }
        }
    }
}
