import Testing

@testable import DoraTensor

/// Memory goes back to the kernel when its last reference goes, unless what comes next is to take its place.
@Suite struct HeapTests {
    private static let size = 300_000

    @Test func unwrittenMemoryTakesThePlaceOfWhatLeft() throws {
        let heap = Heap()
        heap.keepReturned(true)
        let first = try dirty(heap)
        #expect(try heap.allocateUnwritten(byteCount: Self.size).pointer == first)
        // The same pages hold a little less, too.
        #expect(try heap.allocateUnwritten(byteCount: Self.size - 1).pointer == first)
        #expect(try heap.allocateUnwritten(byteCount: 2 * Self.size).pointer != first)
    }

    @Test func twoNeverHaveTheSame() throws {
        let heap = Heap()
        heap.keepReturned(true)
        _ = try dirty(heap)
        let both = try (0..<2).map { _ in try heap.allocateUnwritten(byteCount: Self.size) }
        #expect(both[0].pointer != both[1].pointer)
    }

    @Test func zeroedMemoryIsNeverUsed() throws {
        let heap = Heap()
        heap.keepReturned(true)
        _ = try dirty(heap)
        #expect(try isZero(heap.allocate(byteCount: Self.size)))
        // What was zeroed for its owner is of no use to the next.
        let zeroed = try heap.allocate(byteCount: Self.size).pointer
        #expect(try heap.allocateUnwritten(byteCount: Self.size).pointer != zeroed)
    }

    /// However sizes differ, no more memory is held than before.
    @Test func newMemoryTakesAsMuchFromWhatWaits() throws {
        let heap = Heap()
        heap.keepReturned(true)
        let waiting = try (0..<2).map { _ in try heap.allocateUnwritten(byteCount: Self.size) }
        let places = Set(waiting.map(\.pointer))
        _ = consume waiting
        #expect(places.count == 2)
        let large = try heap.allocateUnwritten(byteCount: 2 * Self.size)
        let small = try heap.allocateUnwritten(byteCount: Self.size)
        #expect(!places.contains(large.pointer) && !places.contains(small.pointer))
    }

    @Test func nothingWaitsOnceNothingIsKept() throws {
        let heap = Heap()
        let early = try dirty(heap)
        heap.keepReturned(true)
        let late = try dirty(heap)
        heap.keepReturned(false)
        let fresh = try heap.allocateUnwritten(byteCount: Self.size)
        #expect(fresh.pointer != early && fresh.pointer != late)
        #expect(isZero(fresh))
    }

    /// Memory that has been written and given back: where it was.
    private func dirty(_ heap: Heap) throws -> UnsafeMutableRawPointer {
        let memory = try heap.allocateUnwritten(byteCount: Self.size)
        memory.pointer.initializeMemory(as: UInt8.self, repeating: 0xa5, count: Self.size)
        return memory.pointer
    }

    private func isZero(_ memory: AlignedMemory) -> Bool {
        UnsafeRawBufferPointer(start: memory.pointer, count: memory.byteCount).allSatisfy { $0 == 0 }
    }
}
