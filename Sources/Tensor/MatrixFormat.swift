import CKernels

/// How a matrix is stored in memory. A format is data: its sizes are here, its arithmetic in the kernels.
package enum MatrixFormat: Sendable, Equatable {
    case f32
    case f16
    case bf16
    /// Int8 codes with an F16 scale per 64 inputs: floats, rounded, or a checkpoint's codes, unchanged.
    case q8
    /// Int8 codes with the F32 largest magnitude of each row: bitsandbytes LLM.int8, unchanged.
    case q8Row
    /// 4-bit indices into a codebook of int8 levels, with the F32 largest magnitude per 64 inputs.
    case q4(Codebook)
    /// As `q4`, its scales held as 8-bit codes: bitsandbytes' double quantization, unchanged.
    case q4Nested(Codebook, ScaleNesting)
    /// Int8 codes with an F16 scale per 32 inputs, unchanged: GGUF's Q8_0.
    case q8_0
    /// 4-bit codes with a scale and a minimum or a zero point per 32 inputs or more, unchanged.
    case affine(AffineScaling)
    /// 6-bit codes with an int8 factor per 16 inputs and an F16 scale per 256, unchanged: GGUF's Q6_K.
    case q6_K

    /// What a code of 1 stands for in `q8Row` when the row's largest magnitude is 1: not quite the F32 nearest to 1/127, but
    /// the constant of bitsandbytes' own decoder (`bitsandbytes/functional.py`, `int8_vectorwise_dequant`).
    package static let q8RowUnit: Float = 7.874015718698502e-3

    package var name: String {
        switch self {
        case .f32: "f32"
        case .f16: "f16"
        case .bf16: "bf16"
        case .q8: "q8"
        case .q8Row: "int8"
        case .q4, .q4Nested: "q4"
        case .q8_0: "q8_0"
        case .affine: "affine4"
        case .q6_K: "q6_k"
        }
    }

    /// Whether the kernels take int8 activations.
    package var isQuantized: Bool {
        switch self {
        case .f32, .f16, .bf16: false
        case .q8, .q8Row, .q4, .q4Nested, .q8_0, .affine, .q6_K: true
        }
    }

    /// Whether the kernels take off what the zero of its codes comes to for each sixteen inputs.
    var wantsQuarters: Bool { self == .q6_K }

    /// Whether the activations' floats are to lie side by side.
    var wantsPanels: Bool { self == .f16 || self == .bf16 }

    /// Whether a matrix can be made of floats; others take only the codes that a checkpoint holds.
    package var takesFloats: Bool {
        switch self {
        case .f32, .f16, .bf16, .q8, .q4: true
        case .q8Row, .q4Nested, .q8_0, .affine, .q6_K: false
        }
    }

    var kernelFormat: dk_format {
        switch self {
        case .f32: DK_F32
        case .f16: DK_F16
        case .bf16: DK_BF16
        case .q8: DK_Q8
        case .q8Row: DK_Q8_ROW
        case .q4: DK_Q4
        case .q4Nested: DK_Q4_NESTED
        case .q8_0: DK_Q8_0
        case .affine: DK_A4
        case .q6_K: DK_Q6_K
        }
    }

    /// Inputs as stored: integer formats are padded with zeros to whole activation blocks.
    func paddedColumns(_ columns: Int) -> Int {
        isQuantized ? columns.roundedUp(to: DK_BLOCK) : columns
    }

    /// Bytes of a whole matrix, scales and padding included.
    package func byteCount(rows: Int, columns: Int) -> Int {
        codes(rows: rows, columns: columns).byteCount + scales(rows: rows, columns: columns).byteCount
            + tableBytes(rows: rows, columns: columns)
    }

    /// Bytes of what all tiles of a matrix share.
    func tableBytes(rows: Int, columns: Int) -> Int {
        guard case .q4Nested(_, let nesting) = self else { return 0 }
        return 4 * (nesting.map.count + nesting.groupCount(rows: rows, columns: columns))
    }

    /// The codes, tile by tile: `[tile, input, 16]`, with as many inputs side by side as a kernel takes at a time.
    package func codes(rows: Int, columns: Int) -> ArrayLayout {
        let tiles = rows.roundedUp(to: DK_ROWS) / DK_ROWS
        let padded = paddedColumns(columns)
        return switch self {
        case .f32: ArrayLayout(.f32, [tiles, padded, DK_ROWS])
        case .f16: ArrayLayout(.f16, [tiles, padded, DK_ROWS])
        case .bf16: ArrayLayout(.bf16, [tiles, padded, DK_ROWS])
        case .q8, .q8Row, .q8_0: ArrayLayout(.u8, [tiles, padded / 4, DK_ROWS, 4])
        case .q4, .q4Nested, .affine: ArrayLayout(.u8, [tiles, padded / 8, DK_ROWS, 4])
        case .q6_K: ArrayLayout(.u8, [tiles, padded / 16, 3, DK_ROWS, 4])
        }
    }

    /// The scales, tile by tile: `[tile, 16]`, `[tile, block, 16]` or the bytes of records; none of the float formats.
    package func scales(rows: Int, columns: Int) -> ArrayLayout {
        let tiles = rows.roundedUp(to: DK_ROWS) / DK_ROWS
        let blocks = paddedColumns(columns) / DK_BLOCK
        return switch self {
        case .f32, .f16, .bf16: ArrayLayout(.u8, [0])
        case .q8: ArrayLayout(.f16, [tiles, blocks, DK_ROWS])
        case .q8Row: ArrayLayout(.f32, [tiles, DK_ROWS])
        case .q4: ArrayLayout(.f32, [tiles, blocks, DK_ROWS])
        case .q4Nested: ArrayLayout(.u8, [tiles, blocks, DK_ROWS])
        case .q8_0: ArrayLayout(.f16, [tiles, 2 * blocks, DK_ROWS])
        case .affine(let scaling):
            ArrayLayout(
                .u8, [tiles, scaling.recordCount(columns: columns), DK_ROWS * scaling.recordBytes])
        case .q6_K:
            ArrayLayout(.u8, [tiles, columns.roundedUp(to: 256) / 256, DK_ROWS * 18])
        }
    }
}

extension MatrixFormat {
    /// Bytes of a row's scales as `Builder.store(tile:codes:scales:)` takes them.
    package func scaleBytes(columns: Int) -> Int {
        scales(rows: DK_ROWS, columns: columns).byteCount / DK_ROWS
    }
}

/// Type and shape of one array of a packed matrix, row-major.
package struct ArrayLayout: Sendable, Equatable {
    package let elementType: ElementType
    package let shape: [Int]

    init(_ elementType: ElementType, _ shape: [Int]) {
        self.elementType = elementType
        self.shape = shape
    }

    package var byteCount: Int { shape.reduce(elementType.byteCount, *) }
}

/// Sixteen levels of a 4-bit format as int8: value = (level - zero) * unit, the unit and the zero chosen so that the
/// values round least.
package struct Codebook: Sendable, Equatable {
    /// Level of each index.
    package let levels: [Int8]
    /// What one level stands for when the block's largest magnitude is 1.
    package let unit: Float
    /// The level, a fraction, that stands for 0.
    package let zero: Float

    /// The closest levels to `values` (16 of them, magnitudes at most 1). A zero off the integers moves what the
    /// rounding of one side has left to the other: for NF4 that halves the mean square.
    package init(values: [Float]) {
        var best = Fit(values: values, reach: 127, zero: 0)
        // Finer steps find nothing better: the error's valleys are wider.
        for zero in stride(from: Float(0), through: 0.5, by: 0.02) {
            for reach in stride(from: Float(64), through: 127, by: 0.1) {
                let fit = Fit(values: values, reach: reach, zero: zero)
                if fit.error < best.error { best = fit }
            }
        }
        levels = values.map { Int8(clamping: Int(best.level(of: $0))) }
        unit = 1 / best.reach
        zero = best.zero
    }

    /// Levels by their unit and zero.
    private struct Fit {
        let reach: Float
        let zero: Float
        private(set) var error: Float = 0

        init(values: [Float], reach: Float, zero: Float) {
            self.reach = reach
            self.zero = zero
            error = values.reduce(0) { sum, value in
                let difference = (level(of: value) - zero) / reach - value
                return sum + difference * difference
            }
        }

        func level(of value: Float) -> Float {
            min(127, max(-127, (value * reach + zero).rounded(.toNearestOrEven)))
        }
    }

    var bytes: [UInt8] { levels.map { UInt8(bitPattern: $0) ^ 0x80 } }
}

/// Block scales in 8 bits (QLoRA, arXiv 2305.14314, section 3): the scale of block j of the flattened matrix is
/// map[code j] * maximum of its group + offset.
package struct ScaleNesting: Sendable, Equatable {
    /// 256 values.
    package let map: [Float]
    package let groupMaxima: [Float]
    package let offset: Float
    /// log2 of the blocks of 64 weights in a group.
    package let groupShift: Int

    package init(map: [Float], groupMaxima: [Float], offset: Float, groupShift: Int) {
        self.map = map
        self.groupMaxima = groupMaxima
        self.offset = offset
        self.groupShift = groupShift
    }

    /// Groups of the matrix as stored: padding rows have some, too.
    func groupCount(rows: Int, columns: Int) -> Int {
        let blocks = rows.roundedUp(to: DK_ROWS) * columns / DK_BLOCK
        return max(groupMaxima.count, (blocks + (1 << groupShift) - 1) >> groupShift)
    }
}

extension Int {
    /// The least multiple of `step` that is not below.
    package func roundedUp(to step: Int) -> Int { (self + step - 1) / step * step }
}
