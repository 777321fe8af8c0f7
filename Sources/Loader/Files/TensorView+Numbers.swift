import DoraTensor
package import DoraText

/// Elements as Swift numbers.
extension TensorView {
    /// Every element as F32: exact for all but F64, which is rounded to nearest.
    /// - Throws: `LoadError` `.mismatch` when the tensor holds integers.
    package func floats() throws(LoadError) -> [Float] {
        try checkFloat()
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            convert(0..<count, into: UnsafeMutableBufferPointer(start: buffer.baseAddress, count: count))
            initialized = count
        }
    }

    /// Elements `range` as F32 into the front of `output`, so that a huge tensor can be walked in pieces.
    /// - Precondition: `range` lies in `0..<count` and `output` has room for it.
    /// - Throws: `LoadError` `.mismatch` when the tensor holds integers.
    package func readFloats(
        _ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
    ) throws(LoadError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "elements beyond the tensor")
        precondition(output.count >= range.count, "no room for the elements")
        try checkFloat()
        convert(range, into: output)
    }

    /// Every element of an integer or boolean tensor.
    /// - Throws: `LoadError` `.mismatch` when the tensor holds floats.
    package func integers() throws(LoadError) -> [Int] {
        func read<Element: FixedWidthInteger>(_ type: Element.Type) -> [Int] {
            withBytes { bytes in
                (0..<count).map { index in
                    let offset = index * MemoryLayout<Element>.size
                    return Int(Element(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type)))
                }
            }
        }
        switch elementType {
        case .i64: return read(Int64.self)
        case .i32: return read(Int32.self)
        case .i16: return read(Int16.self)
        case .i8: return read(Int8.self)
        case .u8, .bool: return read(UInt8.self)
        case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e8m0:
            throw LoadError(
                .mismatch, file: file, field: name, expected: "integers", found: elementType.rawValue)
        }
    }

    private func checkFloat() throws(LoadError) {
        guard elementType.isFloat else {
            throw LoadError(
                .mismatch, file: file, field: name, expected: "floating-point elements",
                found: elementType.rawValue)
        }
    }

    /// As `readFloats`, for callers that have checked the element type.
    /// - Precondition: the elements are floats.
    func convert(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>) {
        guard let target = output.baseAddress, !range.isEmpty else { return }
        withBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            let source = start + range.lowerBound * elementType.byteCount
            FloatConversion.convert(source, elementType, count: range.count, into: target)
        }
    }
}
