#if canImport(Glibc)
import Glibc
#endif

/// Zeroed memory straight from the kernel: 2 MB aligned when large, so that it may sit on huge pages, and returned as
/// soon as its last reference goes.
///
/// `@unchecked Sendable`: the pointer never changes; who may write is decided by the type that owns the memory
/// (`PackedMatrix` writes only while it is built, `KeyValueBlock` only from the thread that owns its sequence).
package final class AlignedMemory: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int
    private let mapping: UnsafeMutableRawPointer
    private let mappedCount: Int

    private static let hugePage = 2 << 20

    package init(byteCount: Int) throws(ComputeError) {
        let large = byteCount >= 4 * Self.hugePage
        mappedCount = max(byteCount, 1) + (large ? Self.hugePage : 0)
        guard
            let mapping = mmap(
                nil, mappedCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            mapping != MAP_FAILED
        else { throw .outOfMemory(byteCount: byteCount) }
        self.mapping = mapping
        self.byteCount = byteCount
        if large {
            let address = UInt(bitPattern: mapping)
            let mask = UInt(Self.hugePage - 1)
            pointer = mapping + Int((address + mask) & ~mask - address)
            _ = madvise(pointer, byteCount, MADV_HUGEPAGE)
        } else {
            pointer = mapping
        }
    }

    deinit { munmap(mapping, mappedCount) }
}
