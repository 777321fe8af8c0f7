import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Zeroed memory straight from the kernel, returned as soon as its last reference goes.
///
/// `@unchecked Sendable`: the pointer never changes; who may write is decided by the type that owns the memory
/// (`PackedMatrix`, `LowRankPart` and a file's copy are written only while they are built; `KeyValueBlock`, `Activations`
/// and `Rows` belong to one sequence or pass, and that to one thread, which hands out parts that do not overlap).
package final class AlignedMemory: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int
    private let mapping: Mapping

    /// Memory of its own, on a page boundary; on huge pages where there are some to fill.
    package convenience init(byteCount: Int) throws(ComputeError) {
        let hugePages = byteCount >= 4 * Mapping.hugePage
        self.init(at: 0, of: try Mapping(byteCount: byteCount, hugePages: hugePages), byteCount: byteCount)
    }

    fileprivate init(at offset: Int, of mapping: Mapping, byteCount: Int) {
        pointer = mapping.start + offset
        self.byteCount = byteCount
        self.mapping = mapping
    }

    deinit { mapping.drop(pointer, byteCount: byteCount) }
}

/// Gives out memory from large mappings, so that matrices and caches of any size lie on huge pages: the processor's
/// prefetching stops at the end of each page.
///
/// What was given back is not given out again: its pages go to the kernel at once, its addresses when all of its
/// mapping is free.
package final class Heap: Sendable {
    private struct Current {
        var mapping: Mapping?
        var used = 0
    }

    private let current = Mutex(Current())
    private static let mappingBytes = 64 << 20
    /// Whole pages, whose size differs among Arm systems: each part can be given back without its neighbours.
    private static let alignment = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))

    package init() {}

    package func allocate(byteCount: Int) throws(ComputeError) -> AlignedMemory {
        let room = byteCount.roundedUp(to: Self.alignment)
        return try current.withLock { current throws(ComputeError) in
            if let mapping = current.mapping, current.used + room <= mapping.byteCount {
                defer { current.used += room }
                return AlignedMemory(at: current.used, of: mapping, byteCount: byteCount)
            }
            let mapping = try Mapping(byteCount: max(room, Self.mappingBytes), hugePages: true)
            current = Current(mapping: mapping, used: room)
            return AlignedMemory(at: 0, of: mapping, byteCount: byteCount)
        }
    }
}

/// Addresses from the kernel, zero when first read.
///
/// `@unchecked Sendable`: neither pointers nor sizes change after `init`. It never touches the memory itself: each part
/// belongs to one `AlignedMemory`, parts do not overlap, and the kernel takes `madvise` from any thread.
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

    /// Gives the pages of a part back.
    func drop(_ part: UnsafeMutableRawPointer, byteCount: Int) {
        madvise(part, byteCount, MADV_DONTNEED)
    }

    deinit { munmap(all, allCount) }
}
