package import DoraTensor

/// The sixteen values of a 4-bit bitsandbytes type, for block maxima of 1.
package struct FourBitCode: Sendable, Equatable {
    package let values: [Float]
    /// The values as the kernels multiply them.
    package let codebook: Codebook

    /// - Parameter values: sixteen, of magnitudes at most 1.
    package init(values: [Float]) {
        // A checkpoint has hundreds of matrices of one code, whose levels are searched for once.
        self =
            [Self.nf4, Self.fp4].first { $0.values == values }
            ?? FourBitCode(values: values, codebook: Codebook(values: values))
    }

    private init(values: [Float], codebook: Codebook) {
        self.values = values
        self.codebook = codebook
    }

    private static func standard(_ values: [Float]) -> FourBitCode {
        FourBitCode(values: values, codebook: Codebook(values: values))
    }

    /// QLoRA (arXiv 2305.14314), appendix E: quantiles of the normal distribution.
    package static let nf4 = standard([
        -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
        1,
    ])

    /// Sign, two bits of exponent, one of fraction; the second half is the first negated.
    package static let fp4: FourBitCode = {
        let positive: [Float] = [0, 0.0052083333, 0.6666667, 1, 0.33333334, 0.5, 0.16666667, 0.25]
        return standard(positive + positive.map { $0 == 0 ? 0 : -$0 })
    }()

    /// Finds the index of the nearest value; halfway, that of the lower (`torch.bucketize` over the midpoints).
    struct Nearest {
        private let order: [UInt8]
        private let midpoints: [Float]

        init(_ code: FourBitCode) {
            let sorted = code.values.enumerated().sorted { ($0.element, $0.offset) < ($1.element, $1.offset) }
            order = sorted.map { UInt8($0.offset) }
            midpoints = zip(sorted, sorted.dropFirst()).map { ($0.element + $1.element) / 2 }
        }

        func index(of value: Float) -> UInt8 {
            var place = 0
            for midpoint in midpoints where value > midpoint { place += 1 }
            return order[place]
        }
    }
}

/// What an index of a 4-bit matrix stands for: V = values[index] * scale of the block, rounded to a type.
package struct FourBitValues: Sendable, Equatable {
    let code: FourBitCode
    /// One of `types`.
    let elementType: ElementType

    /// F32 rounds nothing.
    static let types: [ElementType] = [.f32, .f16, .bf16]

    init(code: FourBitCode, roundedTo elementType: ElementType) {
        self.code = code
        self.elementType = Self.types.contains(elementType) ? elementType : .f32
    }

    /// Decodes indices, one a byte, of blocks with a scale each; the last block may be shorter.
    func decode(
        _ indices: UnsafePointer<UInt8>, count: Int, scales: UnsafePointer<Float>, block: Int,
        into out: UnsafeMutablePointer<Float>, on compute: Compute
    ) {
        compute.lookUp(
            indices, count: count, values: code.values, scales: scales, block: block, rounding: rounding,
            into: out)
    }

    var rounding: Compute.Rounding { elementType.rounding }
}
