import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// The terminal that standard input is, for as long as somebody types there. However the program ends, short of being
/// killed, it leaves the terminal as it found it.
final class InputTerminal: Sendable {
    enum Mode {
        /// Keys come as they are typed, Ctrl-C among them.
        case editing
        /// Nothing is shown of what is typed, and Ctrl-C is a signal; the keys wait.
        case waiting
    }

    private let original: termios
    /// Where what is typed is shown.
    private let screen: Int32
    private let isLeft = Mutex(false)
    // Unsafe only in the eyes of the compiler: written in `init` alone, before anybody else has the object, and kept only
    // so that the sources live; nothing reads it.
    nonisolated(unsafe) private var signals: [any DispatchSourceSignal] = []

    /// Nil if standard input, or what could show it, is no terminal.
    init?() {
        var settings = termios()
        guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0,
            let screen = [STDOUT_FILENO, STDERR_FILENO].first(where: { isatty($0) == 1 })
        else { return nil }
        original = settings
        self.screen = screen
        for number in [SIGTERM, SIGHUP, SIGQUIT] {
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { [weak self] in
                self?.leave()
                // As shells report the signal.
                _exit(128 + number)
            }
            source.resume()
            signals.append(source)
        }
    }

    deinit { leave() }

    func enter(_ mode: Mode) {
        isLeft.withLock { isLeft in
            var settings = original
            settings.c_lflag &= ~tcflag_t(ICANON | ECHO | IEXTEN)
            if mode == .editing {
                settings.c_lflag &= ~tcflag_t(ISIG)
                settings.c_iflag &= ~tcflag_t(ICRNL | INLCR | IXON)
            }
            tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
            isLeft = false
            // Bracketed paste.
            write(mode == .editing ? "\u{1B}[?2004h" : "\u{1B}[?2004l")
        }
    }

    func leave() {
        isLeft.withLock { isLeft in
            if isLeft { return }
            isLeft = true
            write("\u{1B}[?2004l")
            var settings = original
            tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
        }
    }

    /// Ctrl-Z: stops the program, and goes on when the shell says so.
    func suspend() {
        leave()
        // To this thread, which may not have listened before, so that nothing runs on before the program stands still.
        var (stop, before) = (sigset_t(), sigset_t())
        sigemptyset(&stop)
        sigaddset(&stop, SIGTSTP)
        pthread_sigmask(SIG_UNBLOCK, &stop, &before)
        raise(SIGTSTP)
        pthread_sigmask(SIG_SETMASK, &before, nil)
        enter(.editing)
    }

    var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(screen, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    func write(_ text: String) { _ = try? Terminal.write(text, to: screen) }

    /// What was typed; empty at its end.
    func read() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
            if count >= 0 { return Array(buffer[..<count]) }
            if errno != EINTR { return [] }
        }
    }
}
