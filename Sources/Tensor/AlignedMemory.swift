import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Memory straight from the kernel, zeroed unless it was asked for otherwise, and returned as soon as its last reference
/// goes.
///
/// `@unchecked Sendable`: the pointer never changes; who may write is decided by the type that owns the memory
/// (`PackedMatrix`, `LowRankPart` and a file's copy are written only while they are built; `KeyValueBlock`, `Activations`
/// and `Rows` belong to one sequence or pass, and that to one thread, which hands out parts that do not overlap). It goes back
/// with its last reference, so that who gets it next is alone with it.
package final class AlignedMemory: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int
    private let mapping: Mapping
    /// Who may want it again.
    private let heap: Heap?

    /// Memory of its own, on a page boundary; on huge pages where there are some to fill.
    package convenience init(byteCount: Int) throws(ComputeError) {
        let hugePages = byteCount >= 4 * Mapping.hugePage
        let mapping = try Mapping(byteCount: byteCount, hugePages: hugePages)
        self.init(Heap.Part(mapping: mapping, offset: 0, byteCount: byteCount), byteCount: byteCount, of: nil)
    }

    fileprivate init(_ part: Heap.Part, byteCount: Int, of heap: Heap?) {
        pointer = part.mapping.start + part.offset
        self.byteCount = byteCount
        mapping = part.mapping
        self.heap = heap
    }

    deinit {
        if let heap, heap.keep(pointer, byteCount: byteCount, of: mapping) { return }
        mapping.drop(pointer, byteCount: byteCount)
    }
}

/// Gives out memory from large mappings, so that matrices and caches of any size lie on huge pages: the processor's
/// prefetching stops at the end of each page.
///
/// What was given back is not given out again: its pages go to the kernel at once, its addresses when all of its
/// mapping is free. But while an adapter takes another's place, its matrices take the memory of those that left: new pages
/// must be found and cleared first, which can take longer than the merge.
package final class Heap: Sendable {
    fileprivate struct Part {
        let mapping: Mapping
        let offset: Int
        let byteCount: Int

        func drop() { mapping.drop(mapping.start + offset, byteCount: byteCount) }
    }

    private struct State {
        var mapping: Mapping?
        var used = 0
        var isKeeping = false
        /// By their size.
        var kept: [Int: [Part]] = [:]

        /// Parts of that many bytes together, as far as there are some: the largest first.
        mutating func takeKept(_ byteCount: Int) -> [Part] {
            var taken: [Part] = []
            var left = byteCount
            for size in kept.keys.sorted(by: >) {
                while left > 0, let part = kept[size]?.popLast() {
                    taken.append(part)
                    left -= size
                }
            }
            return taken
        }
    }

    private let state = Mutex(State())
    private static let mappingBytes = 64 << 20
    /// Whole pages, whose size differs among Arm systems: each part can be given back without its neighbours.
    private static let alignment = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))

    package init() {}

    /// Zeroed memory.
    package func allocate(byteCount: Int) throws(ComputeError) -> AlignedMemory {
        AlignedMemory(try newPart(byteCount.roundedUp(to: Self.alignment)), byteCount: byteCount, of: nil)
    }

    /// Memory that may hold anything, for what is written whole before it is read.
    package func allocateUnwritten(byteCount: Int) throws(ComputeError) -> AlignedMemory {
        let room = byteCount.roundedUp(to: Self.alignment)
        let (part, dropped) = state.withLock { state -> (Part?, [Part]) in
            if let part = state.kept[room]?.popLast() { return (part, []) }
            // Else as much goes, so that what waits and what is used never take more than before.
            return (nil, state.takeKept(room))
        }
        for part in dropped { part.drop() }
        if let part { return AlignedMemory(part, byteCount: byteCount, of: self) }
        return AlignedMemory(try newPart(room), byteCount: byteCount, of: self)
    }

    /// Whether unwritten memory that is given back waits for the next one of its size; if not, none waits any longer.
    package func keepReturned(_ isKeeping: Bool) {
        let dropped = state.withLock { state in
            state.isKeeping = isKeeping
            guard !isKeeping else { return [Part]() }
            return state.takeKept(.max)
        }
        for part in dropped { part.drop() }
    }

    /// - Returns: whether the part now waits for another use.
    fileprivate func keep(_ pointer: UnsafeMutableRawPointer, byteCount: Int, of mapping: Mapping) -> Bool {
        let room = byteCount.roundedUp(to: Self.alignment)
        let part = Part(mapping: mapping, offset: pointer - mapping.start, byteCount: room)
        return state.withLock { state in
            if state.isKeeping { state.kept[room, default: []].append(part) }
            return state.isKeeping
        }
    }

    private func newPart(_ room: Int) throws(ComputeError) -> Part {
        try state.withLock { state throws(ComputeError) in
            if let mapping = state.mapping, state.used + room <= mapping.byteCount {
                defer { state.used += room }
                return Part(mapping: mapping, offset: state.used, byteCount: room)
            }
            let mapping = try Mapping(byteCount: max(room, Self.mappingBytes), hugePages: true)
            (state.mapping, state.used) = (mapping, room)
            return Part(mapping: mapping, offset: 0, byteCount: room)
        }
    }
}

/// Addresses from the kernel, zero when first read.
///
/// `@unchecked Sendable`: neither pointers nor sizes change after `init`. It never touches the memory itself: each part
/// belongs to one `AlignedMemory`, or to nobody while it waits in a heap, parts do not overlap, and the kernel takes
/// `madvise` from any thread.
private final class Mapping: @unchecked Sendable {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
    private let all: UnsafeMutableRawPointer
    private let allCount: Int

    static let hugePage = 2 << 20

    init(byteCount: Int, hugePages: Bool) throws(ComputeError) {
        allCount = max(byteCount, 1) + (hugePages ? Self.hugePage : 0)
        guard
            let all = mmap(nil, allCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            all != MAP_FAILED
        else { throw .outOfMemory(byteCount: byteCount) }
        self.all = all
        self.byteCount = byteCount
        guard hugePages else {
            start = all
            return
        }
        let mask = UInt(Self.hugePage - 1)
        let address = UInt(bitPattern: all)
        start = all + Int((address + mask) & ~mask - address)
        _ = madvise(start, byteCount, MADV_HUGEPAGE)
    }

    /// Gives the pages of a part back to the kernel.
    func drop(_ part: UnsafeMutableRawPointer, byteCount: Int) {
        madvise(part, byteCount, MADV_DONTNEED)
    }

    deinit { munmap(all, allCount) }
}
