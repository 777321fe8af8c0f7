import CKernels

/// The machine as the rest of the program sees it: one set of kernels and one pool of threads.
///
/// `@unchecked Sendable`: the kernel table is constant, and the pool takes one job at a time because only its owner
/// (the loader, then the engine) calls `parallel`.
package final class Compute: @unchecked Sendable {
    package let threads: Int
    /// Where matrices and caches live.
    package let heap = Heap()
    let kernels: UnsafePointer<dk_kernels>
    private let pool: OpaquePointer

    /// Names of the kernel sets that this CPU can run, best first; "portable" is always the last.
    package static var availableKernels: [String] {
        (0..<dk_kernels_count()).compactMap { index in
            dk_kernels_at(index).map { String(cString: $0.pointee.name) }
        }
    }

    /// The instruction sets that kernels ask for and this CPU has, by the compiler's names.
    package static var processorFeatures: [String] {
        var names: [String] = []
        while let name = dk_cpu_feature(Int32(names.count)) { names.append(String(cString: name)) }
        return names
    }

    /// - Parameter kernels: one of `availableKernels`, or nil for the best. All give the same bits.
    package init(threads: Int = Compute.usableCores, kernels name: String? = nil) throws(ComputeError) {
        let available = Self.availableKernels
        guard let index = name.map({ available.firstIndex(of: $0) }) ?? 0,
            let kernels = dk_kernels_at(Int32(index))
        else { throw .unknownKernels(name ?? "", available: available) }
        guard let pool = dk_pool_create(Int32(clamping: threads)) else { throw .noThreads(threads) }
        self.threads = max(1, threads)
        self.kernels = kernels
        self.pool = pool
    }

    deinit { dk_pool_destroy(pool) }

    package var kernelName: String { String(cString: kernels.pointee.name) }

    /// Calls `body` once for each index below `count`, on all threads, in no particular order; returns when all
    /// calls have. Not reentrant.
    package func parallel(_ count: Int, _ body: (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            var box = body
            withUnsafeMutablePointer(to: &box) { context in
                dk_pool_run(
                    pool, Int64(count),
                    { context, task in
                        context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(Int(task))
                    }, context)
            }
        }
    }

    /// The cores that this process may use: its affinity mask, within its control group's quota.
    package static var usableCores: Int { Int(dk_usable_cores()) }
}
