import DoraTensor

/// Scratch rows of floats.
struct Rows {
    let columns: Int
    /// Floats between rows: an odd number of cache lines, as rows that lie whole pages apart share a few places of the first
    /// cache, and the kernels write twelve at a time.
    let stride: Int
    private let memory: AlignedMemory

    init(_ rows: Int, _ columns: Int) throws(ComputeError) {
        self.columns = columns
        let floatsALine = 16
        stride = (columns.roundedUp(to: floatsALine) / floatsALine | 1) * floatsALine
        memory = try AlignedMemory(byteCount: rows * stride * 4)
    }

    var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }
    func row(_ index: Int) -> UnsafeMutablePointer<Float> { floats + index * stride }
}
