import Dispatch
import DoraRuntime
import DoraText

/// The requests of a file as it is read. Blank lines are none; a bad line is one that is answered with an error, in the
/// manner in which the file's first good line speaks.
struct RequestFile {
    /// Longest line, whoever answers.
    static let maximumLine = 16 << 20
    /// Bad lines that wait for a good one; beyond that the file speaks the line protocol.
    private static let mostUndecided = 1000

    private let lines: LineFile
    private var number = 0
    private var kind: FileRequest.Kind?
    private var found: [FileRequest] = []
    private var nextFound = 0

    /// - Parameter path: `-` for standard input.
    init(path: String) throws(Prompt.Problem) {
        lines = try LineFile(path: path, maximumLine: Self.maximumLine)
    }

    mutating func next() throws(Prompt.Problem) -> FileRequest? {
        if nextFound == found.count { try read() }
        guard nextFound < found.count else { return nil }
        defer { nextFound += 1 }
        return found[nextFound]
    }

    private mutating func read() throws(Prompt.Problem) {
        found = []
        nextFound = 0
        var bad: [(number: Int, error: EngineError)] = []
        while found.isEmpty {
            guard let line = try lines.next() else { break }
            number += 1
            if case .line(let bytes) = line, bytes.isBlank { continue }
            switch Self.object(line) {
            case .success(let object):
                let kind = self.kind ?? FileRequest.Kind(of: object)
                self.kind = kind
                found = bad.map { FileRequest(kind, number: $0.number, $0.error) }
                var request = FileRequest(object, number: number)
                if case .line(let bytes) = line { request.size = bytes.count }
                found.append(request)
            case .failure(let error):
                bad.append((number, error))
                if kind == nil, bad.count < Self.mostUndecided { continue }
                found = bad.map { FileRequest(kind ?? .line, number: $0.number, $0.error) }
                kind = kind ?? .line
            }
        }
        if found.isEmpty { found = bad.map { FileRequest(kind ?? .line, number: $0.number, $0.error) } }
    }

    private static func object(_ line: LineFile.Line) -> Result<JSONObject, EngineError> {
        guard case .line(let bytes) = line else {
            return .failure(
                EngineError(.invalidRequest, "line_too_long", "it is longer than \(maximumLine) bytes"))
        }
        do {
            guard let object = try JSONValue(parsing: bytes).object else {
                return .failure(EngineError(.invalidRequest, "bad_json", "a request is a JSON object"))
            }
            return .success(object)
        } catch { return .failure(EngineError(.invalidRequest, "bad_json", "\(error)")) }
    }
}

/// The same, read on a thread of its own: whoever writes the file may take his time.
///
/// `@unchecked Sendable`: the file is private, given away by whoever made this, and then only read on the serial `queue`.
final class RequestSource: @unchecked Sendable {
    private let queue = DispatchQueue(label: "requests")
    private var file: RequestFile

    init(_ file: RequestFile) { self.file = file }

    func next() async throws -> FileRequest? {
        let (requests, continuation) = AsyncThrowingStream.makeStream(of: FileRequest?.self)
        queue.async { [self] in
            continuation.yield(with: Result { try file.next() })
            continuation.finish()
        }
        // A run that is given up need not wait for the next line.
        for try await request in requests { return request }
        throw CancellationError()
    }
}
