import DoraTensor
import DoraText

/// A scale for each group of a row's inputs: floats `[rows, groups]`, or one for all of a dimension.
struct GroupScales: Sendable {
    let groups: Int
    private let tensor: TensorView
    private let rowStride: Int
    private let groupStride: Int

    /// The type of the products with them.
    var elementType: ElementType { tensor.elementType }

    /// Whether F16 holds every one of them.
    var fitHalf: Bool {
        if tensor.elementType == .f16 { return true }
        let stretch = 4096
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: stretch) { buffer in
            Swift.stride(from: 0, to: tensor.count, by: stretch).allSatisfy { first in
                let count = min(stretch, tensor.count - first)
                tensor.convert(first..<first + count, into: buffer)
                return buffer.prefix(count).allSatisfy { Float(Float16($0)) == $0 }
            }
        }
    }

    /// - Parameters:
    ///   - width: groups that lie in a row, if there are more than mean something.
    ///   - isTransposed: whether they lie as `[groups, rows]`.
    ///   - isShared: whether one serves all rows; there is one group then.
    /// - Throws: `LoadError` `.mismatch` unless the tensor holds F16, BF16 or F32 of that shape.
    init(
        _ tensor: TensorView, rows: Int, groups: Int, width: Int? = nil, isTransposed: Bool = false,
        isShared: Bool = false, advice: String
    ) throws(LoadError) {
        let width = width ?? groups
        let shape = isTransposed ? [width, rows] : [rows, width]
        let fits =
            isShared
            ? tensor.count == 1 && groups == 1
            : tensor.shape == shape || width == 1 && tensor.shape == [rows]
        guard [.f16, .bf16, .f32].contains(tensor.elementType), fits else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                expected: "F16, BF16 or F32 \(TensorShape.describe(isShared ? [1] : shape))",
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))", advice: advice)
        }
        self.tensor = tensor
        self.groups = groups
        rowStride = isShared ? 0 : isTransposed ? 1 : width
        groupStride = isShared ? 0 : isTransposed ? rows : 1
    }

    /// Those of some rows, `[rows.count, groups]`.
    func read(rows: Range<Int>, into out: UnsafeMutablePointer<Float>) {
        for row in rows {
            let target = out + (row - rows.lowerBound) * groups
            if groupStride == 1 {
                let first = row * rowStride
                tensor.convert(
                    first..<first + groups, into: UnsafeMutableBufferPointer(start: target, count: groups))
                continue
            }
            for group in 0..<groups {
                let index = row * rowStride + group * groupStride
                tensor.convert(
                    index..<index + 1, into: UnsafeMutableBufferPointer(start: target + group, count: 1))
            }
        }
    }

    func dropPages() { tensor.dropPages() }
}
