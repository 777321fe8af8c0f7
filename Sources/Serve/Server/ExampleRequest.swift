/// A first request, as a command for the shell.
struct ExampleRequest: CustomStringConvertible {
    /// FinLoRA's prompt: the bundled model answers it with a word, and others with something to the point.
    private static let prompt =
        #"Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."#
        + #"\nInput: Tarnholt Foods raises its full-year profit guidance\nAnswer: "#

    private let address: ListenAddress
    private let tokenFile: String?
    private let hasTokenizer: Bool

    /// - Parameters:
    ///   - tokenFile: for a server that wants its token first, one that JSON takes as it is.
    ///   - hasTokenizer: false for a model that only takes token ids.
    init(to address: ListenAddress, tokenFile: String? = nil, hasTokenizer: Bool = true) {
        self.address = address
        self.tokenFile = tokenFile
        self.hasTokenizer = hasTokenizer
    }

    // Not echo: in some shells it makes line feeds of the prompt's `\n`.
    var description: String {
        let line = hasTokenizer ? Self.prompt : #"{"token_ids":[1,2,3]}"#
        var lines = #"printf '%s\n' '\#(line)'"#
        if let tokenFile {
            let hello =
                #"printf '{"op":"hello","token":"%s"}\n' "$(head -n 1 -- \#(Self.quoted(tokenFile)))""#
            lines = "{ \(hello); \(lines); }"
        }
        return switch address {
        case .unix(let path): "\(lines) | nc -N -U \(Self.quoted(path))"
        case .tcp(let host, let port): "\(lines) | nc -N \(host) \(port)"
        }
    }

    /// One word of a command, whatever is in it.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch UnicodeScalar(byte) {
            case "a"..."z", "A"..."Z", "0"..."9", "/", ".", "_", "-": true
            default: false
            }
        }
        let parts = word.split(separator: "'", omittingEmptySubsequences: false)
        return isPlain ? word : "'" + parts.joined(separator: #"'\''"#) + "'"
    }
}
