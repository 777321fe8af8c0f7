package import DoraLoader
import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// Standard output and standard error of a command.
package enum Terminal {
    /// Standard output takes no more.
    package struct Closed: Error, CustomStringConvertible {
        /// Nil if its reader has gone: nothing is wrong then, and nothing more is to be done.
        let reason: String?

        package var isReaderGone: Bool { reason == nil }
        package var description: String { "standard output: \(reason ?? "its reader has gone")" }
    }

    /// Writes all of `text` to standard output at once.
    package static func write(_ text: String) throws(Closed) { try write(text, to: STDOUT_FILENO) }

    /// The same for what a model made, which must not steer the terminal that shows it.
    package static func writeHarmless(_ text: String) throws(Closed) {
        try write(showsOutput ? text.harmless : text)
    }

    static func write(_ text: String, to descriptor: Int32) throws(Closed) {
        guard let code = writeAll(text, to: descriptor) else { return }
        throw Closed(reason: code == EPIPE ? nil : String(cString: strerror(code)))
    }

    /// Writes one line to standard error, whatever is quoted in it.
    package static func note(_ line: String) { _ = writeAll(line.printable + "\n", to: STDERR_FILENO) }

    package static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether somebody looks at standard output.
    package static var showsOutput: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Says why a terminal shows nothing: the model ended its answer before it began.
    /// - Parameter isTemplated: the prompt was given as it is, special tokens and all.
    package static func noteEmptyAnswer(isTemplated: Bool) {
        guard showsOutput else { return }
        let advice = "; a chat model wants its template: --chat (README.md)"
        note("the answer is empty: its first token was the end of the text (EOS)\(isTemplated ? "" : advice)")
    }

    /// Shows a line in the place of the last one that was shown so, on standard error.
    static func showStatus(_ line: String) { _ = writeAll("\r\u{1B}[K" + line, to: STDERR_FILENO) }

    /// Redraws a progress bar on standard error; wipes it when the stage is done.
    package static func show(_ progress: LoadProgress) {
        guard showsProgress else { return }
        let width = 30
        let filled = progress.total > 0 ? width * progress.done / progress.total : width
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        let isDone = progress.done == progress.total
        showStatus(isDone ? "" : "\(progress.stage) [\(bar)] \(progress.done)/\(progress.total)")
    }

    /// - Returns: the number of the error, if there is one.
    private static func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }
}
