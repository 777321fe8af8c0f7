import Crypto
import DoraLoader

/// Secrets that let clients in. Only their hashes are kept, and comparing takes the same time whatever is right of one.
package struct TokenSet: Sendable {
    private let hashes: [[UInt8]]

    package init(_ tokens: [[UInt8]]) { hashes = tokens.map(Self.hash) }

    /// - Parameter file: a token in each line.
    /// - Throws: `OptionProblem` for a line of fewer than 8 bytes, or without any; `LoadError`.
    package init(file: String, option: ServerOption) throws {
        self.init(try Self.lines(of: file, option: option))
    }

    /// The tokens of a file, without what editors leave behind them.
    static func lines(of file: String, option: ServerOption) throws -> [[UInt8]] {
        let bytes = try MappedFile.contents(of: file, atMost: 1 << 16)
        let tokens = bytes.split(separator: UInt8(ascii: "\n")).map { line in
            Array(line.reversed().drop { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: " ") }.reversed())
        }.filter { !$0.isEmpty }
        guard !tokens.isEmpty, tokens.allSatisfy({ $0.count >= 8 }) else {
            throw OptionProblem(
                option: "--" + option.rawValue,
                problem: "\(file) must hold tokens of 8 or more bytes, one in a line")
        }
        return tokens
    }

    package func contains(_ token: some Sequence<UInt8>) -> Bool {
        let hash = Self.hash(Array(token))
        // All of them, whichever it is.
        return hashes.filter { zip(hash, $0).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0 }.isEmpty == false
    }

    private static func hash(_ token: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: token)) }
}

/// What a client may do, by the token that it showed.
package struct Admission: Sendable {
    /// Who may ask at all; nil for everybody.
    package var clients: TokenSet?
    /// Who may load, unload and drain; nil for every client.
    package var administrators: TokenSet?

    package enum Role: Int, Comparable, Sendable {
        case stranger, client, administrator

        package static func < (a: Role, b: Role) -> Bool { a.rawValue < b.rawValue }
    }

    package init(clients: TokenSet? = nil, administrators: TokenSet? = nil) {
        self.clients = clients
        self.administrators = administrators
    }

    package func role(token: String?) -> Role {
        if let administrators {
            if let token, administrators.contains(token.utf8) { return .administrator }
            guard let clients else { return .client }
            return token.map { clients.contains($0.utf8) } == true ? .client : .stranger
        }
        guard let clients else { return .administrator }
        return token.map { clients.contains($0.utf8) } == true ? .administrator : .stranger
    }
}
