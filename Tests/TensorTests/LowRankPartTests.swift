import DoraTensor
import Testing

/// y = g ⊙ (V x + s B (A x)) + bias beside a matrix, against sums in F64.
@Suite struct LowRankPartTests {
    struct Shape: CustomTestStringConvertible {
        let rows: Int, columns: Int, rank: Int
        var testDescription: String { "\(rows) x \(columns), rank \(rank)" }
    }

    static let shapes = [
        Shape(rows: 16, columns: 64, rank: 8), Shape(rows: 37, columns: 200, rank: 3),
        Shape(rows: 5, columns: 50, rank: 1), Shape(rows: 64, columns: 1000, rank: 21),
        Shape(rows: 40, columns: 64, rank: 0),
    ]

    /// A matrix with a part that some of the tokens have.
    private struct Case {
        let shape: Shape
        let v: [Float], a: [Float], b: [Float], scales: [Float], bias: [Float], x: [Float]
        let tokens: Int
        let with: Range<Int>

        /// - Parameter size: of the factors: A's times this, B's over this.
        init(_ shape: Shape, tokens: Int, with: Range<Int>, size: Float = 1) {
            var noise = Noise(seed: UInt64(shape.rows * 31 + shape.rank))
            self.shape = shape
            v = noise.floats(shape.rows * shape.columns)
            a = noise.floats(shape.rank * shape.columns, scale: size)
            b = noise.floats(shape.rows * shape.rank, scale: 1 / size)
            scales = noise.floats(shape.rows, scale: 2)
            bias = noise.floats(shape.rows)
            x = noise.floats(tokens * shape.columns)
            self.tokens = tokens
            self.with = with
        }

        func run(isHalf: Bool, kernels: String, threads: Int = 1) throws -> [Float] {
            let compute = try Compute(threads: threads, kernels: kernels)
            let matrix = try PackedMatrix.build(
                rows: shape.rows, columns: shape.columns, format: .f32, on: compute
            ) { tile, builder in
                var rows = [Float](repeating: 0, count: PackedMatrix.tileRows * shape.columns)
                let first = tile * PackedMatrix.tileRows * shape.columns
                for index in rows.indices where first + index < v.count { rows[index] = v[first + index] }
                builder.store(tile: tile, rows: rows)
            }
            let part = try LowRankPart(
                a: a, b: b, rank: shape.rank, rows: shape.rows, columns: shape.columns, scaling: 0.75,
                scales: scales, isHalf: isHalf, on: compute)
            let input = try Activations(capacity: tokens, columns: shape.columns)
            input.floats.update(from: x, count: x.count)
            input.refill(tokens: tokens)
            var out = [Float](repeating: .nan, count: tokens * shape.rows)
            try out.withUnsafeMutableBufferPointer { out in
                guard let start = out.baseAddress else { return }
                try input.multiply(
                    [
                        Activations.Product(
                            by: matrix, into: start, stride: shape.rows,
                            additions: [Activations.Addition(tokens: with, part: part, bias: bias)])
                    ], on: compute)
            }
            return out
        }

        /// Of one token.
        func expected(_ token: Int) -> [Double] {
            let row = x[token * shape.columns..<(token + 1) * shape.columns].map(Double.init)
            func dot(_ values: [Float], _ index: Int) -> Double {
                zip(values[index * shape.columns..<(index + 1) * shape.columns], row).reduce(0) {
                    $0 + Double($1.0) * $1.1
                }
            }
            let reduced = (0..<shape.rank).map { dot(a, $0) }
            return (0..<shape.rows).map { output in
                let plain = dot(v, output)
                guard with.contains(token) else { return plain }
                let added = (0..<shape.rank).reduce(0.0) {
                    $0 + Double(b[output * shape.rank + $1]) * reduced[$1]
                }
                return Double(scales[output]) * (plain + 0.75 * added) + Double(bias[output])
            }
        }
    }

    @Test(arguments: shapes, Compute.availableKernels)
    func isThatOfTheFormula(shape: Shape, kernels: String) throws {
        for isHalf in [false, true] {
            let test = Case(shape, tokens: 7, with: 2..<6)
            let found = try test.run(isHalf: isHalf, kernels: kernels)
            let size = Double(shape.rank).squareRoot() * Double(shape.columns).squareRoot()
            for token in 0..<test.tokens {
                for (mine, wanted) in zip(found[(token * shape.rows)...], test.expected(token)) {
                    #expect(abs(Double(mine) - wanted) <= (isHalf ? 2e-3 : 1e-5) * max(1, size))
                }
            }
        }
    }

    /// Halves have no numbers as small or as large as these.
    @Test(arguments: [Float(1e-12), 1e9]) func factorsOfAnySizeKeepTheirDigits(size: Float) throws {
        let shape = Shape(rows: 32, columns: 128, rank: 8)
        let kernels = try #require(Compute.availableKernels.first)
        let test = Case(shape, tokens: 3, with: 0..<3, size: size)
        let found = try test.run(isHalf: true, kernels: kernels)
        for token in 0..<3 {
            for (mine, wanted) in zip(found[(token * shape.rows)...], test.expected(token)) {
                #expect(abs(Double(mine) - wanted) <= 0.06)
            }
        }
    }

    /// The same bits whatever else is computed, on every instruction set, with any number of threads.
    @Test(arguments: shapes) func aTokenDependsOnNothingElse(shape: Shape) throws {
        let sets = Compute.availableKernels
        for isHalf in [false, true] {
            let all = try Case(shape, tokens: 29, with: 1..<28).run(isHalf: isHalf, kernels: sets[0])
            for kernels in sets {
                for threads in [1, 3] {
                    let test = Case(shape, tokens: 29, with: 1..<28)
                    #expect(try test.run(isHalf: isHalf, kernels: kernels, threads: threads) == all)
                }
            }
            // A's, B's and V's noise is the same, and so are the first tokens'.
            let few = try Case(shape, tokens: 3, with: 1..<3).run(isHalf: isHalf, kernels: sets[0])
            #expect(few == Array(all.prefix(few.count)))
        }
    }
}
