import Dispatch

#if canImport(Glibc)
import Glibc
#endif

/// Ctrl-C as a call, for as long as it lives, on a thread of its own.
package final class Interrupts: Sendable {
    // Unsafe only in the eyes of the compiler: a constant, set up before anybody else has the object; afterwards only
    // cancelled, which Dispatch allows from any thread.
    nonisolated(unsafe) private let source: any DispatchSourceSignal

    /// - Parameter action: called at every Ctrl-C.
    package init(_ action: @escaping @Sendable () -> Void) {
        // As Dispatch wants it on Linux; a signal that is ignored never reaches it.
        signal(SIGINT, SIG_DFL)
        source = DispatchSource.makeSignalSource(
            signal: SIGINT, queue: DispatchQueue(label: "interrupts", qos: .userInteractive))
        source.setEventHandler(handler: action)
        source.resume()
    }

    /// From here on Ctrl-C ends the program again.
    package func stop() {
        source.cancel()
        ExitStatus.handleSignals()
    }
}
