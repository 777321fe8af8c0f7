import DoraTensor
import DoraText

/// Reading the matrices of a packed file. What a module's matrix is made of stands in the metadata: the format, for
/// codes also the type that V is rounded to, for nested scales the blocks of 64 weights in a group, for records of scales
/// their kind and the inputs of a group.
extension PackedFile {
    /// The matrix of a linear module; nil when the file holds it in rows, or not at all.
    /// - Parameter rows: finds V of a matrix whose tiles are rounded.
    func weights(
        of module: ModuleInventory.Module, rows: () throws(LoadError) -> any WeightSource
    ) throws -> PackedWeights? {
        let key = PackedHeader.matrixKey(module.name)
        guard let text = tensors.metadata[key] else { return nil }
        let words = text.split(separator: " ").map(String.init)
        let values: PackedWeights.Values
        let format: MatrixFormat
        switch (words.first, words.count) {
        case ("f32", 1): (format, values) = (.f32, .exact)
        case ("f16", 1): (format, values) = (.f16, .exact)
        case ("bf16", 1): (format, values) = (.bf16, .exact)
        case ("int8", 1): (format, values) = (.q8Row, .exact)
        case ("q8_0", 1): (format, values) = (.q8_0, .exact)
        case ("q8_0", 2): (format, values) = (.q8_0, .tiles(roundedTo: try rounding(words[1], key)))
        case ("affine4", 4):
            let type = try rounding(words[1], key)
            (format, values) = (
                .affine(try scaling(words[2], group: words[3], columns: module.inputs, key)),
                .tiles(roundedTo: type)
            )
        case ("q6_k", 1) where module.inputs.isMultiple(of: 256): (format, values) = (.q6_K, .exact)
        case ("q8", 1): (format, values) = (.q8, .rows(try rows()))
        case ("q8", 2): (format, values) = (.q8, .tiles(roundedTo: try rounding(words[1], key)))
        case ("q4", 2):
            let fourBit = try fourBitValues(of: module, elementType: words[1], key)
            (format, values) = (.q4(fourBit.code.codebook), .fourBit(fourBit))
        case ("q4-nested", 3):
            let fourBit = try fourBitValues(of: module, elementType: words[1], key)
            let nesting = try nesting(of: module, group: words[2], key)
            (format, values) = (.q4Nested(fourBit.code.codebook, nesting), .fourBit(fourBit))
        default: throw strange(key, expected: "a format", found: text)
        }
        let matrix = try PackedMatrix(
            rows: module.outputs, columns: module.inputs, format: format, inputOrder: order(of: module),
            mappedCodes: array(
                .codes, of: module, format.codes(rows: module.outputs, columns: module.inputs)),
            scales: array(.scales, of: module, format.scales(rows: module.outputs, columns: module.inputs)))
        return PackedWeights(matrix: matrix, values: values)
    }

    private func array(
        _ part: Part, of module: ModuleInventory.Module, _ layout: ArrayLayout
    ) throws(LoadError) -> SharedBytes {
        if layout.byteCount == 0 { return SharedBytes.none }
        let tensor = try tensor(part.name(module.name))
        guard tensor.elementType == layout.elementType, tensor.shape == layout.shape else {
            throw strange(
                tensor.name,
                expected: "\(layout.elementType.rawValue) \(TensorShape.describe(layout.shape))",
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))")
        }
        let shared = tensor.shared
        guard Int(bitPattern: shared.bytes.baseAddress).isMultiple(of: layout.elementType.byteCount) else {
            throw strange(tensor.name, expected: "aligned elements", found: "an odd offset")
        }
        return shared
    }

    private func order(of module: ModuleInventory.Module) throws(LoadError) -> InputOrder? {
        guard let tensor = tensors[Part.order.name(module.name)] else { return nil }
        guard tensor.elementType == .i32, tensor.shape == [module.inputs],
            let order = InputOrder(try tensor.integers().map { Int32(truncatingIfNeeded: $0) })
        else {
            throw strange(
                tensor.name, expected: "I32 [\(module.inputs)], each input once",
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))")
        }
        return order
    }

    private func nesting(
        of module: ModuleInventory.Module, group: String, _ key: String
    ) throws(LoadError) -> ScaleNesting {
        guard let size = Int(group), size.nonzeroBitCount == 1, (1...1 << 30).contains(size) else {
            throw strange(key, expected: "a power of two of blocks in a group", found: group)
        }
        let blocks = module.outputs * module.inputs / FourBitWeights.kernelBlock
        return ScaleNesting(
            map: try floats(.map, of: module, count: 256),
            groupMaxima: try floats(.maxima, of: module, count: blocks.roundedUp(to: size) / size),
            offset: try floats(.offset, of: module, count: 1)[0], groupShift: size.trailingZeroBitCount)
    }

    private func fourBitValues(
        of module: ModuleInventory.Module, elementType word: String, _ key: String
    ) throws(LoadError) -> FourBitValues {
        guard module.inputs.isMultiple(of: FourBitWeights.kernelBlock) else {
            throw strange(key, expected: "a format for rows of \(module.inputs)", found: "4 bits")
        }
        let type = try rounding(word, key)
        let values = try floats(.values, of: module, count: 16)
        guard values.allSatisfy({ abs($0) <= 1 }) else {
            throw strange(Part.values.name(module.name), expected: "values in -1...1", found: "\(values)")
        }
        return FourBitValues(code: FourBitCode(values: values), roundedTo: type)
    }

    private func rounding(_ word: String, _ key: String) throws(LoadError) -> ElementType {
        guard let type = ElementType(rawValue: word), FourBitValues.types.contains(type) else {
            throw strange(key, expected: "F32, F16 or BF16", found: word)
        }
        return type
    }

    private func scaling(
        _ record: String, group: String, columns: Int, _ key: String
    ) throws(LoadError) -> AffineScaling {
        guard let kind = AffineScaling.Record(rawValue: record), let size = Int(group),
            let scaling = AffineScaling(kind, group: size),
            kind != .nested || columns.isMultiple(of: scaling.recordInputs)
        else {
            throw strange(
                key, expected: "records of scales for rows of \(columns)", found: "\(record) \(group)")
        }
        return scaling
    }

    private func floats(
        _ part: Part, of module: ModuleInventory.Module, count: Int
    ) throws(LoadError) -> [Float] {
        let tensor = try tensor(part.name(module.name))
        guard tensor.elementType == .f32, tensor.shape == [count] else {
            throw strange(
                tensor.name, expected: "F32 [\(count)]",
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))")
        }
        return try tensor.floats()
    }

    private func tensor(_ name: String) throws(LoadError) -> TensorView {
        guard let tensor = tensors[name] else {
            throw LoadError(
                .missing, file: path, field: name, "the file does not hold this tensor",
                advice: "pack the model again")
        }
        return tensor
    }

    private func strange(_ field: String, expected: String, found: String) -> LoadError {
        LoadError(
            .malformed, file: path, field: field, expected: expected, found: found,
            advice: "pack the model again")
    }
}
