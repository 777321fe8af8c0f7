package import DoraTensor
package import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// A tensor in a file or in memory, read where it lies. A copy of the view is cheap and keeps the bytes alive.
///
/// The elements are little-endian and row-major, as safetensors stores them, at any alignment.
package struct TensorView: Sendable {
    package let name: String
    /// Path of the file that holds it, for error messages.
    package let file: String
    package let elementType: ElementType
    package let shape: [Int]
    /// Number of elements, the product of `shape`.
    package let count: Int

    private let storage: ByteStorage
    private let range: Range<Int>

    /// Bytes of memory that the view keeps alive: those of the whole file that it lies in.
    var retainedBytes: Int { storage.bytes.count }

    /// - Parameter range: where the elements lie in `storage`.
    /// - Throws: `LoadError` `.malformed` unless the range holds exactly the elements of `shape`.
    init(
        name: String, file: String, elementType: ElementType, shape: [Int], storage: ByteStorage,
        range: Range<Int>
    ) throws(LoadError) {
        guard let count = TensorShape.elementCount(shape),
            let size = TensorShape.byteCount(shape, elementType), size == range.count,
            range.lowerBound >= 0, range.upperBound <= storage.bytes.count
        else {
            throw LoadError(
                .malformed, file: file, field: name,
                expected: "\(TensorShape.describe(shape)) \(elementType.rawValue)",
                found: "\(range.count) bytes",
                advice: "the file is damaged; write it again")
        }
        self.name = name
        self.file = file
        self.elementType = elementType
        self.shape = shape
        self.count = count
        self.storage = storage
        self.range = range
    }

    /// A tensor made in memory.
    package init(
        name: String, file: String, elementType: ElementType, shape: [Int], bytes: [UInt8]
    ) throws(LoadError) {
        try self.init(
            name: name, file: file, elementType: elementType, shape: shape,
            storage: .owned(OwnedBytes(bytes)), range: 0..<bytes.count)
    }

    /// An F32 tensor made in memory.
    package init(name: String, file: String, shape: [Int], floats: [Float]) throws(LoadError) {
        let owner = OwnedBytes(floats)
        try self.init(
            name: name, file: file, elementType: .f32, shape: shape, storage: .owned(owner),
            range: 0..<owner.bytes.count)
    }

    /// The raw elements. Valid only while this view or a copy of it is alive; where no other use of the view
    /// follows, prefer `withBytes`.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: storage.bytes[range])
    }

    package var byteCount: Int { range.count }

    /// The raw elements with what keeps them there; afterwards their pages are given back.
    var shared: SharedBytes { storage.part(range) }

    /// Calls `body` with the raw elements, which stay alive for the call.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(storage) { try body(bytes) }
    }

    package func dropPages() { dropPages(elements: 0..<count) }

    /// Gives back the memory into which the elements' pages were read. They can still be read, from disk.
    package func dropPages(elements: Range<Int>) {
        let elements = elements.clamped(to: 0..<count)
        let size = elementType.byteCount
        storage.dropPages(
            range.lowerBound + elements.lowerBound * size..<range.lowerBound + elements.upperBound * size)
    }

    /// The same bytes as another type, e.g. the packed nibbles that bitsandbytes stores as BF16.
    /// - Throws: `LoadError` `.malformed` when `shape` does not need exactly these bytes.
    package func reinterpreted(as elementType: ElementType, shape: [Int]) throws(LoadError) -> TensorView {
        try TensorView(
            name: name, file: file, elementType: elementType, shape: shape, storage: storage, range: range)
    }
}

/// Sizes of tensors, computed without overflow because shapes come from files.
enum TensorShape {
    /// The product of the dimensions; nil when one is negative or the product does not fit.
    static func elementCount(_ shape: [Int]) -> Int? {
        var count = 1
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            count = product
        }
        return count
    }

    static func byteCount(_ shape: [Int], _ elementType: ElementType) -> Int? {
        guard let count = elementCount(shape) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: elementType.byteCount)
        return overflow ? nil : bytes
    }

    /// `[4, 2048]`
    static func describe(_ shape: [Int]) -> String {
        "[" + shape.map(String.init).joined(separator: ", ") + "]"
    }
}

extension TensorView {
    /// Whether both hold the same bytes as the same type and shape.
    func isIdentical(to other: TensorView) -> Bool {
        guard elementType == other.elementType, shape == other.shape, byteCount == other.byteCount else {
            return false
        }
        return withBytes { mine in
            other.withBytes { theirs in
                guard let first = mine.baseAddress, let second = theirs.baseAddress else { return true }
                return memcmp(first, second, mine.count) == 0
            }
        }
    }
}
