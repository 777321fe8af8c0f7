package import DoraLoader

#if canImport(Glibc)
import Glibc
#endif

/// A prompt as a user gives it: raw text, or token ids.
package enum Prompt: Sendable, Equatable {
    case text(String)
    case tokenIDs([Int])

    /// What is wrong with a prompt, before any model has seen it.
    package enum Problem: Error, Equatable, CustomStringConvertible {
        case notUTF8(source: String, offset: Int)
        case notAnID(String)
        case unreadable(String, reason: String)
        case noTokenizer(model: String)

        package var description: String {
            switch self {
            case .notUTF8(let source, let offset):
                "\(source): byte \(offset) is not valid UTF-8; convert the prompt to UTF-8"
            case .notAnID(let word):
                "'\(word)' is not a token id; with --token-ids the prompt is numbers between white space"
            case .unreadable(let path, let reason): "\(path): \(reason)"
            case .noTokenizer(let model):
                "\(model): there is neither tokenizer.json nor tokenizer.model; give ids with --token-ids"
            }
        }
    }

    /// - Parameters:
    ///   - bytes: the whole input. Exactly one final line feed is dropped, so that `echo` and a pipe do.
    ///   - source: its name in messages.
    package init(bytes: [UInt8], source: String, asTokenIDs: Bool) throws(Problem) {
        let content = bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...]
        guard let text = String(validating: content, as: UTF8.self) else {
            throw .notUTF8(source: source, offset: Self.firstInvalidByte(content))
        }
        try self.init(text: text, asTokenIDs: asTokenIDs)
    }

    package init(text: String, asTokenIDs: Bool) throws(Problem) {
        guard asTokenIDs else {
            self = .text(text)
            return
        }
        var ids: [Int] = []
        for word in text.split(whereSeparator: \.isWhitespace) {
            guard let id = Int(word) else { throw .notAnID(String(word)) }
            ids.append(id)
        }
        self = .tokenIDs(ids)
    }

    /// The model's token ids.
    package func encoded(by tokenizer: (any Tokenizer)?, model: String, addingSpecialTokens: Bool)
        throws(Problem)
        -> [Int]
    {
        switch self {
        case .tokenIDs(let ids): return ids
        case .text(let text):
            guard let tokenizer else { throw .noTokenizer(model: model) }
            return tokenizer.encode(text, addingSpecialTokens: addingSpecialTokens)
        }
    }

    /// Reads standard input, or a file, to its end.
    package static func read(path: String?) throws(Problem) -> [UInt8] {
        let descriptor = path.map { open($0, O_RDONLY | O_CLOEXEC) } ?? STDIN_FILENO
        let name = path ?? "standard input"
        guard descriptor >= 0 else { throw .unreadable(name, reason: String(cString: strerror(errno))) }
        defer { if path != nil { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer[..<count]
            } else if count == 0 {
                return bytes
            } else if errno != EINTR {
                throw .unreadable(name, reason: String(cString: strerror(errno)))
            }
        }
    }

    private static func firstInvalidByte(_ bytes: ArraySlice<UInt8>) -> Int {
        var low = 0
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { low += UTF8.width(scalar) }
        return low
    }
}
