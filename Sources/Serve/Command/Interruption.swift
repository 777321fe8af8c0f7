#if canImport(Glibc)
import Glibc
#endif

/// Ctrl-C or SIGTERM, noticed where a command can clean up.
package struct Interruption: Error {
    /// From here on, of all threads that start later too, the signals wait until somebody asks.
    package static func hold() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    package static func check() throws(Interruption) {
        var pending = sigset_t()
        sigpending(&pending)
        if sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 { throw Interruption() }
    }
}
