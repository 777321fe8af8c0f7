package import DoraTensor

#if canImport(Glibc)
import Glibc
#endif

/// A thread for work that takes long, beside the few threads of tasks and queues. It ends with its work.
package enum OwnThread {
    /// - Throws: `ComputeError.noThreads` when the system has none left; then `work` is never done.
    package static func start(_ work: @escaping @Sendable () -> Void) throws(ComputeError) {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { throw .noThreads(1) }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackSize)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let work = Unmanaged.passRetained(Work(work))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { work in
                if let work { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        guard failure == 0 else {
            work.release()
            throw .noThreads(1)
        }
    }

    /// Deep files are read recursively, to a depth that is bounded for this size.
    private static let stackSize = 8 << 20

    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
