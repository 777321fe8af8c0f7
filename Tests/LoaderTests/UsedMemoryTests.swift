import DoraTensor
import Testing

@testable import DoraLoader

/// An adapter that takes another's place is merged into the memory of the other's matrices.
@Suite struct UsedMemoryTests {
    @Test(arguments: [
        ("gqa-f32", "dora-all-linear"), ("int8", "dora-qkv-int8"), ("nf4-ragged", "dora-all-nf4-ragged"),
        ("bf16", "dora-qkv-bf16"), ("gguf-q8_0.gguf", "dora-all-q8_0"),
    ]) func whatLayThereDoesNotShow(base: String, adapter: String) throws {
        for storage in [
            StorageOptions(), StorageOptions(weights: .f32, merged: .f32),
            StorageOptions(merged: .q4, head: .q8),
        ] {
            let compute = try Compute(threads: 2)
            let base = try BaseModel(
                ModelFiles(Fixtures.folder + "/bases/" + base), storage: storage, on: compute)
            let adapter = try Adapter(
                folder: Fixtures.folder + "/adapters/" + adapter, fitting: base.inventory, baseName: nil)
            let fresh = try base.adapted(by: adapter, on: compute).weights.matrices
            compute.heap.keepReturned(true)
            let used = try leaveDirty(fresh, in: compute.heap)
            let merged = try base.adapted(by: adapter, on: compute).weights.matrices
            #expect(merged.map(bytes) == fresh.map(bytes))
            let isUsed = merged.contains { matrix in
                matrix.withArrays { codes, _ in codes.baseAddress.map(used.contains) == true }
            }
            #expect(isUsed)
        }
    }

    /// Leaves memory for matrices like these, none of it zero.
    /// - Returns: where it is.
    private func leaveDirty(_ matrices: [PackedMatrix], in heap: Heap) throws -> Set<UnsafeRawPointer> {
        let memory = try matrices.flatMap(bytes).map { bytes in
            let memory = try heap.allocateUnwritten(byteCount: bytes.count)
            memory.pointer.initializeMemory(as: UInt8.self, repeating: 0xa5, count: bytes.count)
            return memory
        }
        return Set(memory.map { UnsafeRawPointer($0.pointer) })
    }

    private func bytes(_ matrix: PackedMatrix) -> [[UInt8]] {
        matrix.withArrays { [Array($0), Array($1)] }
    }
}
