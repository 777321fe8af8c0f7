import DoraTensor

/// Scratch rows of floats.
struct Rows {
    let columns: Int
    private let memory: AlignedMemory

    init(_ rows: Int, _ columns: Int) throws(ComputeError) {
        self.columns = columns
        memory = try AlignedMemory(byteCount: rows * columns * 4)
    }

    var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }
    func row(_ index: Int) -> UnsafeMutablePointer<Float> { floats + index * columns }
}
