import DoraLoader
import DoraRuntime
import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// How a command ends (sysexits.h; 130 as shells report Ctrl-C).
package enum ExitStatus: Int32, Sendable {
    case success = 0
    case usage = 64
    case badData = 65
    case missingInput = 66
    /// The server cannot listen; for a client, it cannot be reached or is busy.
    case unavailable = 69
    case internalError = 70
    /// A file, or standard output, cannot be written.
    case cannotCreate = 73
    case interrupted = 130

    /// The status that a failure deserves.
    package init(_ error: any Error) {
        self =
            switch error {
            case let error as LoadError:
                // A file that is not there; a tensor or key that is not there is bad data.
                error.code == .missing && error.field == nil ? .missingInput : .badData
            case Prompt.Problem.unreadable, Prompt.Problem.noTokenizer: .missingInput
            case is Prompt.Problem: .badData
            case RuntimeError.contextTooLong: .usage
            case is OptionProblem: .usage
            case is ListenProblem: .unavailable
            case is WriteError, is Terminal.Closed, is AnswerFile.Problem: .cannotCreate
            case let stopped as FileRun.Stopped: Self(stopped.reason)
            case let problem as ServerClient.Problem: Self(problem)
            case let error as EngineError: error.kind == .busy ? .unavailable : .badData
            case is RuntimeError: .badData
            default: .internalError
            }
    }

    private init(_ problem: ServerClient.Problem) {
        self =
            switch problem {
            case .unreachable, .hungUp, .refused(kind: "busy", _, _): .unavailable
            case .refused(kind: "internal", _, _): .internalError
            case .refused, .strange, .differs: .badData
            }
    }

    /// From here on a closed pipe is an error to handle instead of a signal.
    package static func ignoreClosedPipes() { signal(SIGPIPE, SIG_IGN) }

    /// The same, and Ctrl-C ends with 130.
    package static func handleSignals() {
        ignoreClosedPipes()
        signal(SIGINT) { _ in _exit(ExitStatus.interrupted.rawValue) }
    }
}
