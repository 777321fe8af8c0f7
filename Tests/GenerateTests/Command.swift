import FoundationEssentials

#if canImport(Glibc)
import Glibc
#endif

/// Runs a built program, `dora-generate` unless another is named, as a user would, with files for its input and outputs so that no pipe can fill.
struct Command {
    let status: Int32
    let output: String
    let errors: String

    init(
        program: String = "dora-generate", _ arguments: String..., input: [UInt8] = [],
        environment: [String: String] = [:], closesOutput: Bool = false, onTerminal: Bool = false,
        interrupts: Bool = false
    ) throws {
        try self.init(
            program: program, arguments: arguments, input: input, environment: environment,
            closesOutput: closesOutput, onTerminal: onTerminal, interrupts: interrupts)
    }

    /// - Parameters:
    ///   - closesOutput: standard output is a pipe whose reader has gone.
    ///   - onTerminal: standard output is one; what it shows is not read.
    ///   - interrupts: Ctrl-C, once the program listens to it; standard input then never ends.
    init(
        program: String = "dora-generate", arguments: [String], input: [UInt8] = [],
        environment: [String: String] = [:], closesOutput: Bool = false, onTerminal: Bool = false,
        interrupts: Bool = false
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["in", "out", "err"].map { folder.appending(path: $0).path }
        try Data(input).write(to: URL(filePath: files[0]))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if !interrupts {
            posix_spawn_file_actions_addopen(&actions, 0, files[0], O_RDONLY, 0)
        } else {
            mkfifo(files[0] + ".fifo", 0o600)
            posix_spawn_file_actions_addopen(&actions, 0, files[0] + ".fifo", O_RDWR, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 2, files[2], O_WRONLY | O_CREAT, 0o600)
        let terminal = onTerminal ? try PseudoTerminal() : nil
        if let terminal {
            posix_spawn_file_actions_addopen(&actions, 1, terminal.path, O_RDWR | O_NOCTTY, 0)
        } else if closesOutput {
            var pipeEnds: [Int32] = [0, 0]
            pipe(&pipeEnds)
            close(pipeEnds[0])
            posix_spawn_file_actions_adddup2(&actions, pipeEnds[1], 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, files[1], O_WRONLY | O_CREAT, 0o600)
        }
        status = try Self.spawn(
            [Self.path(program)] + arguments, environment: environment,
            actions: &actions,
            interrupts: interrupts)
        withExtendedLifetime(terminal) {}
        output = (try? String(contentsOfFile: files[1], encoding: .utf8)) ?? ""
        errors = (try? String(contentsOfFile: files[2], encoding: .utf8)) ?? ""
    }

    private static func spawn(
        _ words: [String], environment: [String: String], actions: inout posix_spawn_file_actions_t,
        interrupts: Bool
    ) throws -> Int32 {
        var variables = ProcessInfo.processInfo.environment
        variables["DORA_MODEL"] = nil
        variables.merge(environment) { $1 }
        let pairs = variables.map { "\($0)=\($1)" }
        let argv = words.map { strdup($0) } + [nil]
        let envp = pairs.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        // Threads of a concurrency pool block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var process = pid_t()
        guard posix_spawn(&process, words[0], &actions, &attributes, argv, envp) == 0 else {
            throw CocoaError(.executableLoad)
        }
        if interrupts {
            for _ in 0..<6000 where !handlesInterrupts(process) { usleep(10_000) }
            kill(process, SIGINT)
        }
        var result: Int32 = 0
        while waitpid(process, &result, 0) < 0 && errno == EINTR {}
        return result & 0x7F == 0 ? result >> 8 & 0xFF : -(result & 0x7F)
    }

    /// Whether a process has a handler of Ctrl-C by now (`SigCgt` of proc_pid_status(5)).
    private static func handlesInterrupts(_ process: pid_t) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let caught = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = caught.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" }, radix: 16) } ?? 0
        return mask & 1 << UInt64(SIGINT - 1) != 0
    }

    /// Where `dora-generate` lies.
    static var program: String { path("dora-generate") }

    private static func path(_ program: String) -> String {
        program.hasPrefix("/") ? program : folder.appending(path: program).path
    }

    /// The executables lie beside the bundle of tests.
    private static let folder: URL = {
        var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        // Under the test runner of some platforms, argument 0 is the runner; then the build folder is asked.
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        if !FileManager.default.fileExists(atPath: folder.appending(path: "dora-generate").path) {
            folder = root.appending(path: ".build/debug")
        }
        return folder
    }()
}

/// A terminal that nobody looks at. Swift does not see `posix_openpt` and its kind; this is what they do on Linux.
private final class PseudoTerminal {
    let path: String
    private let descriptor: Int32

    init() throws {
        descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (number, unlocked): (Int32, Int32) = (0, 0)
        let (getNumber, setLock): (UInt, UInt) = (0x8004_5430, 0x4004_5431)
        guard descriptor >= 0, ioctl(descriptor, getNumber, &number) == 0,
            ioctl(descriptor, setLock, &unlocked) == 0
        else { throw CocoaError(.featureUnsupported) }
        path = "/dev/pts/\(number)"
    }

    deinit { close(descriptor) }
}

enum Paths {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static func path(_ relative: String) -> String { root.appending(path: relative).path }
    static let base = path("models/base")
    static let sentiment = path("models/adapters/sentiment")
    static let topic = path("models/adapters/topic")
    static let withoutTokenizer = path("Tests/Fixtures/bases/int8")
}
