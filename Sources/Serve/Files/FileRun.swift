import DoraRuntime
import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// Answers a file of requests: as many in flight as whoever answers takes, the answers in the order of the requests,
/// each written as soon as its turn comes.
package struct FileRun: Sendable {
    /// Nobody answers any more, or the answers cannot be written; the run can be resumed.
    package struct Stopped: Error, CustomStringConvertible {
        let reason: any Error
        let hint: String?
        package var description: String { "\(reason)" + (hint.map { "; \($0)" } ?? "") }
    }

    private let input: String
    private let output: AnswerFile
    private let source: RequestSource
    private let first: FileRequest?
    private let skipped: Int

    /// Opens the files, and skips what is answered already.
    /// - Parameters:
    ///   - input: `-` for standard input.
    ///   - output: nil for standard output.
    /// - Throws: `Prompt.Problem`, `AnswerFile.Problem`.
    package init(input: String, output: String?, resumes: Bool) throws {
        self.input = input
        var file = try RequestFile(path: input)
        let answers = try AnswerFile(path: output, resumes: resumes)
        skipped = try answers.skipAnswered(of: &file, named: input == "-" ? "the input" : input)
        // Reading ahead from a pipe would wait for its writer.
        first = input == "-" ? nil : try file.next()
        self.output = answers
        source = RequestSource(file)
    }

    /// Whether every request has its answer, so that nobody needs to be asked.
    package var isFinished: Bool { input != "-" && first == nil }

    /// - Parameter adapter: of requests that name none: nil for whoever answers by default, empty for the base.
    /// - Throws: `Stopped`.
    package func run(by answerer: any Answerer, adapter: String?) async throws {
        let interrupts = Interrupts { [output] in output.end(with: .interrupted) }
        defer { interrupts.stop() }
        var order = AnswerOrder(
            progress: Terminal.showsProgress
                ? RunProgress(skipped: skipped, total: input == "-" ? nil : LineFile.count(in: input)) : nil)
        defer { order.endProgress() }
        do {
            try await answerAll(by: answerer, adapter: adapter, &order)
        } catch let closed as Terminal.Closed where closed.isReaderGone { throw closed } catch {
            throw Stopped(reason: error, hint: output.hint)
        }
    }

    private enum Event: Sendable {
        case request(FileRequest?)
        case answer(index: Int, line: String)
    }

    /// Requests read and not yet written, of each that may be in flight: while one takes long, others go on.
    private static let mostAhead = 4
    /// Bytes of these.
    private static let mostBytes = 64 << 20

    private func answerAll(
        by answerer: any Answerer, adapter: String?, _ order: inout AnswerOrder
    ) async throws {
        try await withThrowingTaskGroup(of: Event.self) { group in
            var inFlight = 0
            var isReading = true
            let first = self.first
            group.addTask { [source] in
                if let first { return .request(first) }
                return .request(try await source.next())
            }
            var isEnded = false
            while let event = try await group.next() {
                switch event {
                case .request(nil): (isReading, isEnded) = (false, true)
                case .request(let request?):
                    isReading = false
                    let index = order.open(request)
                    inFlight += 1
                    group.addTask {
                        .answer(
                            index: index,
                            line: try await Self.answer(request, by: answerer, adapter: adapter))
                    }
                case .answer(let index, let line):
                    inFlight -= 1
                    for line in order.fill(index, line) { try output.write(line) }
                }
                let hasRoom =
                    inFlight < answerer.capacity && order.count < answerer.capacity * Self.mostAhead
                    && order.bytes < Self.mostBytes
                if !isReading, !isEnded, hasRoom {
                    isReading = true
                    group.addTask { [source] in .request(try await source.next()) }
                }
            }
        }
    }

    /// The line of the output.
    private static func answer(
        _ request: FileRequest, by answerer: any Answerer, adapter: String?
    ) async throws -> String {
        let object: JSONObject
        switch request.content {
        case .failure(let error): return request.answer(error)
        case .success(let content): object = request.request(content, adapter: adapter)
        }
        let bytes = JSONValue.object(object).text.utf8.count + 32
        guard bytes <= answerer.maximumLine else {
            return request.answer(
                EngineError(
                    .invalidRequest, "line_too_long",
                    "line \(request.number): it is longer than \(answerer.maximumLine) bytes"))
        }
        var pause = Duration.milliseconds(20)
        while true {
            let last = try await answerer.lastLine(of: object, as: request.number)
            if last.isDraining { throw EngineError.draining }
            if !last.isBusy { return request.answer(last) }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }
}

extension JSONObject {
    private var errorFields: JSONObject? {
        (self["result"]?.object?["body"]?.object ?? self)["error"]?.object
    }

    fileprivate var isDraining: Bool { errorFields?["code"]?.string == "draining" }

    /// The same request may be answered later.
    fileprivate var isBusy: Bool {
        errorFields?["type"]?.string == "busy" || self["result"]?.object?["status_code"]?.int == 429
    }
}

/// Answers that wait for those before them.
private struct AnswerOrder {
    private struct Held {
        var line: String?
        var bytes: Int
    }

    private var held: [Int: Held] = [:]
    private var nextOpened = 0
    private var nextWritten = 0
    private(set) var bytes = 0
    private var progress: RunProgress?

    init(progress: RunProgress?) { self.progress = progress }

    /// Requests whose answers are not yet written.
    var count: Int { nextOpened - nextWritten }

    mutating func open(_ request: FileRequest) -> Int {
        defer { nextOpened += 1 }
        held[nextOpened] = Held(bytes: request.size)
        bytes += request.size
        return nextOpened
    }

    /// - Returns: what can be written now.
    mutating func fill(_ index: Int, _ line: String) -> [String] {
        bytes += line.utf8.count - (held[index]?.bytes ?? 0)
        held[index] = Held(line: line, bytes: line.utf8.count)
        var ready: [String] = []
        while let line = held[nextWritten]?.line {
            held[nextWritten] = nil
            nextWritten += 1
            bytes -= line.utf8.count
            ready.append(line)
        }
        if !ready.isEmpty, let text = progress?.step(ready.count) { Terminal.showStatus(text) }
        return ready
    }

    func endProgress() { if progress != nil { Terminal.showStatus("") } }
}
