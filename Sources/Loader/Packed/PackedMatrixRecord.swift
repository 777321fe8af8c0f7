import DoraTensor

/// One matrix on its way into a packed file. `PackedFile.weights` is the inverse.
struct PackedMatrixRecord {
    let module: String
    let source: any WeightSource
    let format: MatrixFormat

    /// Whether V follows from what is stored.
    var isExact: Bool { source.isExact(in: format) }

    /// What the metadata say of it.
    var description: String {
        let rounding = (source.fourBitValues?.elementType ?? .f32).rawValue
        return switch format {
        case .f32, .f16, .bf16, .q8Row, .q6_K: format.name
        case .q8 where !isExact: format.name
        case .q8_0 where source.codeRounding == .f32: format.name
        // Codes of a checkpoint.
        case .q8, .q8_0: "\(format.name) \(source.codeRounding.rawValue)"
        case .affine(let scaling):
            "affine4 \(source.codeRounding.rawValue) \(scaling.record.rawValue) \(scaling.group)"
        case .q4: "q4 \(rounding)"
        case .q4Nested(_, let nesting): "q4-nested \(rounding) \(1 << nesting.groupShift)"
        }
    }

    var tensors: [PackedTensor] {
        var tensors = [
            tensor(.codes, format.codes(rows: source.rows, columns: source.columns)),
            tensor(.scales, format.scales(rows: source.rows, columns: source.columns)),
        ].filter { $0.byteCount > 0 }
        for (part, values) in tables {
            tensors.append(PackedTensor(name: part.name(module), elementType: .f32, shape: [values.count]))
        }
        if let order {
            tensors.append(
                PackedTensor(
                    name: PackedFile.Part.order.name(module), elementType: .i32, shape: [order.inputs.count]))
        }
        return tensors
    }

    func write(to writer: PackedFileWriter, on compute: Compute) throws {
        let matrix = try source.packed(as: format, on: compute)
        try matrix.withArrays { codes, scales in
            try writer.write(PackedFile.Part.codes.name(module), codes)
            if !scales.isEmpty { try writer.write(PackedFile.Part.scales.name(module), scales) }
        }
        for (part, values) in tables {
            try values.withUnsafeBytes { try writer.write(part.name(module), $0) }
        }
        try order?.inputs.withUnsafeBytes { try writer.write(PackedFile.Part.order.name(module), $0) }
    }

    private var order: InputOrder? { source.inputOrder(in: format) }

    /// What a 4-bit matrix needs beside codes and scales.
    private var tables: [(PackedFile.Part, [Float])] {
        guard let values = source.fourBitValues else { return [] }
        return switch format {
        case .f32, .f16, .bf16, .q8, .q8Row, .q8_0, .affine, .q6_K: []
        case .q4: [(.values, values.code.values)]
        case .q4Nested(_, let nesting):
            [
                (.values, values.code.values), (.map, nesting.map), (.maxima, nesting.groupMaxima),
                (.offset, [nesting.offset]),
            ]
        }
    }

    private func tensor(_ part: PackedFile.Part, _ layout: ArrayLayout) -> PackedTensor {
        PackedTensor(name: part.name(module), elementType: layout.elementType, shape: layout.shape)
    }
}
