import DoraTensor
import DoraText

/// How a GGUF file holds the numbers of a tensor: `length` of a row in each block of `byteCount` bytes. A format is a
/// value in a file of its kind; `all` finds it.
package struct BlockFormat: Sendable {
    /// As ggml calls it.
    package let name: String
    /// The number that files have for it.
    let id: UInt32
    /// Of floats, which are blocks of one; nil for the others.
    let elementType: ElementType?
    package let length: Int
    package let byteCount: Int
    /// One block's numbers as F32: each operation rounded by itself, as in gguf-py's `dequantize`.
    let decode: @Sendable (_ block: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<Float>) -> Void
    /// How the kernels keep the blocks; nil if they cannot.
    let codes: BlockCodes?

    init(
        _ name: String, id: UInt32, length: Int, bytes: Int, codes: BlockCodes? = nil,
        decode: @escaping @Sendable (UnsafePointer<UInt8>, UnsafeMutablePointer<Float>) -> Void
    ) {
        self.name = name
        self.id = id
        elementType = nil
        self.length = length
        byteCount = bytes
        self.codes = codes
        self.decode = decode
    }

    private init(_ type: ElementType, id: UInt32) {
        name = type.rawValue
        self.id = id
        elementType = type
        length = 1
        byteCount = type.byteCount
        codes = nil
        decode = { FloatConversion.convert($0, type, count: 1, into: $1) }
    }

    static let all =
        [BlockFormat(.f32, id: 0), BlockFormat(.f16, id: 1), BlockFormat(.bf16, id: 30)]
        + [q4_0, q4_1, q5_0, q5_1, q8_0] + [q2_K, q3_K, q4_K, q5_K, q6_K] + [iq4_NL, iq4_XS]

    /// Formats that are known and not read, for messages (ggml `ggml.h`).
    private static let unreadNames: [UInt32: String] = [
        9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S",
        22: "IQ2_S",
        24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
        39: "MXFP4",
        40: "NVFP4",
    ]

    /// - Throws: `LoadError` `.unsupported` that names the format.
    static func named(by id: UInt32, file: String, tensor: String) throws(LoadError) -> BlockFormat {
        if let format = all.first(where: { $0.id == id }) { return format }
        throw LoadError(
            .unsupported, file: file, field: tensor,
            "weights of type \(unreadNames[id] ?? "\(id), which is not known here,") are not read",
            advice: "use a file of the same model in one of \(all.map(\.name).joined(separator: ", "))")
    }

    /// Nil unless blocks fill the row.
    func byteCount(of shape: [Int]) -> Int? {
        guard let row = shape.last, row.isMultiple(of: length), let count = TensorShape.elementCount(shape)
        else { return nil }
        let (bytes, overflow) = (count / length).multipliedReportingOverflow(by: byteCount)
        return overflow ? nil : bytes
    }

    /// - Parameter columns: a multiple of `length`.
    func byteCount(ofRow columns: Int) -> Int { columns / length * byteCount }
}
