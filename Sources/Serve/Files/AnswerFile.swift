import DoraLoader
import DoraText
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Where answers go: a new file, one that an earlier run left, or standard output. A line is written at once and whole.
final class AnswerFile: Sendable {
    /// Why a file cannot take the answers.
    struct Problem: Error, CustomStringConvertible {
        let path: String
        let problem: String
        var description: String { "\(path): \(problem)" }
    }

    /// Nil for standard output.
    let path: String?
    private let descriptor: Int32
    private let lock = Mutex(())

    /// - Parameters:
    ///   - path: nil for standard output.
    ///   - resumes: a file that is there is gone on with; else it is refused.
    /// - Throws: `Problem`, `WriteError`.
    init(path: String?, resumes: Bool) throws {
        self.path = path
        guard let path else {
            descriptor = STDOUT_FILENO
            return
        }
        let kind = FileStatus.kind(path)
        let isThere = kind != nil
        let isFile = kind == .file
        if isThere, isFile, !resumes {
            throw Problem(
                path: path, problem: "it is there already; --resume goes on with it, or give another")
        }
        if isThere, !isFile, resumes {
            throw Problem(path: path, problem: "it is no file whose answers could be gone on with")
        }
        let isNew = isThere ? 0 : O_CREAT | O_EXCL
        descriptor = open(path, (resumes ? O_RDWR : O_WRONLY) | isNew | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Problem(path: path, problem: String(cString: strerror(errno))) }
        if !isThere || isFile, flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            throw Problem(path: path, problem: "another run is writing it")
        }
    }

    deinit { if path != nil { close(descriptor) } }

    /// Takes the requests off `input` that the file answers already, and drops a line that is not whole.
    /// - Returns: how many they are.
    /// - Throws: `Problem` when what it holds are other requests' answers.
    func skipAnswered(of input: inout RequestFile, named inputName: String) throws -> Int {
        guard let path else { return 0 }
        let answers = try LineFile(path: path, maximumLine: 1 << 30)
        var count = 0
        while let line = try answers.next(), !answers.isUnfinished {
            guard let request = try input.next() else {
                throw Problem(path: path, problem: "it holds more answers than \(inputName) has requests")
            }
            guard case .line(let bytes) = line, let object = try? JSONValue(parsing: bytes).object,
                request.isAnswered(by: object)
            else {
                throw Problem(
                    path: path,
                    problem:
                        "its line \(count + 1) does not answer line \(request.number) of \(inputName): it belongs to "
                        + "other requests")
            }
            count += 1
        }
        guard ftruncate(descriptor, answers.wholeBytes) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
            throw Problem(path: path, problem: String(cString: strerror(errno)))
        }
        return count
    }

    /// - Throws: `Terminal.Closed` when standard output takes no more, `Problem` when the file does not.
    func write(_ line: String) throws {
        try lock.withLock { _ in
            do throws(Terminal.Closed) { try Terminal.write(line + "\n", to: descriptor) } catch {
                guard let path else { throw error }
                throw Problem(path: path, problem: error.reason ?? "its reader has gone")
            }
        }
    }

    /// Ends the program between two lines, and says how to go on.
    func end(with status: ExitStatus) {
        lock.withLock { _ in
            if Terminal.showsProgress { Terminal.showStatus("") }
            if let hint { Terminal.note("dora-generate: \(hint)") }
            _exit(status.rawValue)
        }
    }

    /// How to go on, after a run that did not come to its end.
    var hint: String? { path.map { "\($0) holds the answers so far; --resume goes on" } }
}
