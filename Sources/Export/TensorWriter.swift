import DoraLoader
import DoraTensor
import DoraText
import Synchronization

/// Streams the rows of tensors into files, some megabytes at a time.
struct TensorWriter {
    /// How numbers become bytes.
    enum Encoding {
        case float(ElementType)
        /// Rows of a multiple of 32.
        case q8

        func byteCount(_ count: Int) -> Int {
            switch self {
            case .float(let type): count * type.byteCount
            case .q8: count / Q8Encoding.length * Q8Encoding.byteCount
            }
        }

        /// Whether other types take larger numbers.
        fileprivate var hasWiderExponents: Bool {
            switch self {
            case .float(let type): type == .f16
            case .q8: true
            }
        }

        fileprivate var name: String {
            switch self {
            case .float(let type): type.rawValue
            case .q8: "Q8_0"
            }
        }
    }

    /// How a tensor stands in a file.
    struct Form {
        let encoding: Encoding
        /// Where its data begin.
        let offset: Int
        /// What is added to each number.
        var shift: Float = 0
        /// The place of a row, or of a number of a vector; nil where all stand in their order.
        var storedRow: ((_ row: Int) -> Int)?
    }

    private let compute: Compute
    private(set) var remarks = ExportRemarks()

    init(on compute: Compute) { self.compute = compute }

    /// - Throws: `LoadError` where a number is none of the type; `WriteError`.
    mutating func write(
        _ tensor: MergedModel.Tensor, of model: MergedModel, to file: NewFile, in form: Form
    ) throws {
        var rows = try model.rows(of: tensor)
        let columns = rows.columns
        let stretch = min(MergedRows.stretch(columns: columns), rows.rows)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: stretch * columns)
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: form.encoding.byteCount(stretch * columns), alignment: 64)
        defer {
            values.deallocate()
            bytes.deallocate()
        }
        guard let floats = values.baseAddress, let target = bytes.baseAddress else { return }
        for first in stride(from: 0, to: rows.rows, by: stretch) {
            let range = first..<min(first + stretch, rows.rows)
            let count = range.count * columns
            try rows.read(rows: range, into: floats, on: compute)
            if form.shift != 0 { for index in 0..<count { floats[index] += form.shift } }
            guard encode(floats, count: count, as: form.encoding, into: target) else {
                throw beyondRange(tensor, model, form.encoding)
            }
            // A vector is a row, and what moves in it are its numbers.
            try write(
                UnsafeRawBufferPointer(start: target, count: form.encoding.byteCount(count)),
                rows: tensor.shape.count == 1 ? 0..<columns : range, to: file, in: form)
        }
        remarks.add(rows, module: tensor.module.name)
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, rows: Range<Int>, to file: NewFile, in form: Form
    ) throws(WriteError) {
        let length = bytes.count / max(1, rows.count)
        guard let storedRow = form.storedRow else {
            try file.write(bytes, at: form.offset + rows.lowerBound * length)
            return
        }
        for (index, row) in rows.enumerated() {
            try file.write(
                UnsafeRawBufferPointer(rebasing: bytes[index * length..<(index + 1) * length]),
                at: form.offset + storedRow(row) * length)
        }
    }

    /// - Returns: whether all numbers are ones of the type.
    private func encode(
        _ values: UnsafePointer<Float>, count: Int, as encoding: Encoding, into out: UnsafeMutableRawPointer
    ) -> Bool {
        let part = 1 << 16
        let isFinite = Atomic(true)
        compute.parallel(count.roundedUp(to: part) / part) { index in
            let (first, target) = (index * part, out + encoding.byteCount(index * part))
            let length = min(part, count - first)
            let isWhole =
                switch encoding {
                case .float(let type):
                    FloatEncoding.encode(values + first, count: length, as: type, into: target)
                case .q8: Q8Encoding.encode(values + first, count: length, into: target)
                }
            if !isWhole { isFinite.store(false, ordering: .relaxed) }
        }
        return isFinite.load(ordering: .relaxed)
    }

    private func beyondRange(
        _ tensor: MergedModel.Tensor, _ model: MergedModel, _ encoding: Encoding
    ) -> LoadError {
        return LoadError(
            .unsupported, file: model.files.path, field: tensor.name,
            "it holds numbers that \(encoding.name) has not",
            advice: encoding.hasWiderExponents ? "give --dtype bf16 or f32" : "give --dtype f32")
    }
}
