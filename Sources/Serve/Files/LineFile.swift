import DoraLoader

#if canImport(Glibc)
import Glibc
#endif

/// A file's lines, one after the other; never more of it in memory than one line may have, and what a read brings.
final class LineFile {
    enum Line: Equatable {
        /// Without its line feed, and a carriage return before that.
        case line([UInt8])
        /// Of a longer one nothing is kept.
        case tooLong
    }

    private let name: String
    private let descriptor: Int32
    private let isOwned: Bool
    private let maximumLine: Int
    private var bytes: [UInt8] = []
    /// Where the next line begins, and up to where it was searched for its end.
    private var start = 0
    private var searched = 0
    private var isAtEnd = false
    private var isFirst = true
    /// Bytes of the file before `bytes`.
    private var base = 0
    /// Up to the last line feed that was met.
    private(set) var wholeBytes = 0
    /// The last line had no line feed.
    private(set) var isUnfinished = false

    /// - Parameter path: `-` for standard input.
    /// - Throws: `Prompt.Problem.unreadable`.
    init(path: String, maximumLine: Int) throws(Prompt.Problem) {
        isOwned = path != "-"
        name = isOwned ? path : "standard input"
        descriptor = isOwned ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO
        self.maximumLine = maximumLine
        guard descriptor >= 0, let kind = FileStatus.kind(descriptor: descriptor) else {
            throw .unreadable(name, reason: String(cString: strerror(errno)))
        }
        if kind == .folder {
            throw .unreadable(name, reason: String(cString: strerror(EISDIR)))
        }
    }

    deinit { if isOwned { close(descriptor) } }

    /// Nil behind the last. A last line without a line feed is one.
    func next() throws(Prompt.Problem) -> Line? {
        var isTooLong = false
        while true {
            if let end = lineFeed {
                defer {
                    start = end + 1
                    searched = start
                    wholeBytes = base + start
                }
                return isTooLong || end - start > maximumLine ? .tooLong : .line(line(upTo: end))
            }
            if isAtEnd {
                guard start < bytes.count || isTooLong else { return nil }
                isUnfinished = true
                defer { (start, searched) = (bytes.count, bytes.count) }
                return isTooLong || bytes.count - start > maximumLine
                    ? .tooLong : .line(line(upTo: bytes.count))
            }
            if bytes.count - start > maximumLine {
                isTooLong = true
                start = bytes.count
            }
            try readMore()
        }
    }

    private var lineFeed: Int? {
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            return memchr(base + searched, 10, bytes.count - searched).map { UnsafeRawPointer($0) - base }
        }
    }

    private func line(upTo end: Int) -> [UInt8] {
        var line = bytes[start..<end]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        // What some editors put before a text in UTF-8.
        if isFirst, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        isFirst = false
        return Array(line)
    }

    private func readMore() throws(Prompt.Problem) {
        bytes.removeFirst(start)
        base += start
        start = 0
        searched = bytes.count
        let size = 1 << 18
        let old = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: size))
        while true {
            let count = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress?.advanced(by: old), size)
            }
            if count < 0, errno == EINTR { continue }
            bytes.removeLast(size - max(0, count))
            if count < 0 { throw .unreadable(name, reason: String(cString: strerror(errno))) }
            isAtEnd = count == 0
            return
        }
    }
}

extension [UInt8] {
    var isBlank: Bool {
        allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
    }
}

extension LineFile {
    /// Lines that are not blank, of a file that can be read twice; nil for others.
    static func count(in path: String) -> Int? {
        guard FileStatus.kind(path) == .file,
            let file = try? LineFile(path: path, maximumLine: RequestFile.maximumLine)
        else { return nil }
        var count = 0
        while let line = try? file.next() {
            if case .line(let bytes) = line, bytes.isBlank { continue }
            count += 1
        }
        return count
    }
}
