import DoraLoader
import DoraTensor
import DoraText
import Synchronization

/// Streams the rows of tensors into files, some megabytes at a time.
struct TensorWriter {
    let elementType: ElementType
    let compute: Compute
    private(set) var remarks = ExportRemarks()

    init(_ elementType: ElementType, on compute: Compute) {
        self.elementType = elementType
        self.compute = compute
    }

    /// - Parameter offset: where the tensor's data begin in the file.
    /// - Throws: `LoadError` where a number is none of the type; `WriteError`.
    mutating func write(
        _ tensor: MergedModel.Tensor, of model: MergedModel, to file: NewFile, at offset: Int
    ) throws {
        var rows = try model.rows(of: tensor)
        let columns = rows.columns
        let stretch = min(MergedRows.stretch(columns: columns), rows.rows)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: stretch * columns)
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: stretch * columns * elementType.byteCount, alignment: 64)
        defer {
            values.deallocate()
            bytes.deallocate()
        }
        guard let floats = values.baseAddress, let target = bytes.baseAddress else { return }
        for first in stride(from: 0, to: rows.rows, by: stretch) {
            let range = first..<min(first + stretch, rows.rows)
            let count = range.count * columns
            try rows.read(rows: range, into: floats, on: compute)
            guard encode(floats, count: count, into: target) else { throw beyondRange(tensor, model) }
            try file.write(
                UnsafeRawBufferPointer(start: target, count: count * elementType.byteCount),
                at: offset + first * columns * elementType.byteCount)
        }
        remarks.add(rows, module: tensor.module.name)
    }

    private func encode(
        _ values: UnsafePointer<Float>, count: Int, into out: UnsafeMutableRawPointer
    ) -> Bool {
        let part = 1 << 16
        let isFinite = Atomic(true)
        compute.parallel(count.roundedUp(to: part) / part) { index in
            let first = index * part
            let isWhole = FloatEncoding.encode(
                values + first, count: min(part, count - first), as: elementType,
                into: out + first * elementType.byteCount)
            if !isWhole { isFinite.store(false, ordering: .relaxed) }
        }
        return isFinite.load(ordering: .relaxed)
    }

    private func beyondRange(_ tensor: MergedModel.Tensor, _ model: MergedModel) -> LoadError {
        LoadError(
            .unsupported, file: model.files.path, field: tensor.name,
            "it holds numbers that \(elementType.rawValue) has not",
            advice: elementType == .f16
                ? "give --dtype bf16 or f32" : "the base or the adapter is damaged; use another copy")
    }
}

/// What is worth saying of the matrices that were written.
struct ExportRemarks {
    private var ratios = MagnitudeRatios()
    private var zeroRows: [(module: String, count: Int)] = []

    mutating func add(_ rows: MergedRows, module: String) {
        ratios.add(rows.ratios)
        if rows.zeroRows > 0 { zeroRows.append((module, rows.zeroRows)) }
    }

    /// - Parameter name: of the base that the adapter names.
    func warnings(baseModelName name: String?) -> [LoadWarning] {
        [ratios.warning(baseModelName: name), LoadWarning(zeroRows: zeroRows)].compactMap { $0 }
    }
}
