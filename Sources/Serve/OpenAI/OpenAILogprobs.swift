import DoraRuntime
import DoraText

/// Tokens as log probabilities spell them.
struct OpenAITokens: Sendable {
    let tokenizer: (any Tokenizer)?
    /// `token_id:123`
    let asIDs: Bool

    func piece(_ id: Int) -> TokenPiece {
        tokenizer?.piece(id) ?? TokenPiece(bytes: [], isSpecial: false)
    }

    /// - Parameter showsSpecial: special tokens are spelled, though no text shows them.
    func text(_ id: Int, _ piece: TokenPiece, showsSpecial: Bool) -> String {
        if asIDs { return "token_id:\(id)" }
        return piece.isSpecial && !showsSpecial ? "" : piece.text
    }
}

/// `logprobs` of a chat: an object for each token.
struct OpenAIChatLogprobs {
    let tokens: OpenAITokens

    func write(_ list: some Sequence<TokenLogprob>, to line: inout JSONLine) {
        line.object { line in
            line.key("content")
            line.array { line in
                for token in list {
                    line.object { line in
                        writeMembers(token.id, token.logprob, to: &line)
                        line.key("top_logprobs")
                        line.array { line in
                            for other in token.top {
                                line.object { line in writeMembers(other.id, other.logprob, to: &line) }
                            }
                        }
                    }
                }
            }
            line.key("refusal")
            line.null()
        }
    }

    private func writeMembers(_ id: Int, _ logprob: Double, to line: inout JSONLine) {
        let piece = tokens.piece(id)
        line.key("token")
        line.value(tokens.text(id, piece, showsSpecial: true))
        line.key("logprob")
        line.value(logprob)
        line.key("bytes")
        line.value(piece.bytes.lazy.map(Int.init))
    }
}

/// `logprobs` of a completion: four lists of the same length.
struct OpenAITextLogprobs {
    private struct Entry {
        let text: String
        let logprob: Double?
        let top: [(text: String, logprob: Double)]?
        let offset: Int
    }

    private let tokens: OpenAITokens
    private var entries: [Entry] = []

    init(_ tokens: OpenAITokens) { self.tokens = tokens }

    /// A prompt's first token, which nothing stands before.
    mutating func append(first id: Int, at offset: Int) {
        let text = tokens.text(id, tokens.piece(id), showsSpecial: false)
        entries.append(Entry(text: text, logprob: nil, top: nil, offset: offset))
    }

    /// - Parameter isEnd: it ended the text, which does not show it.
    mutating func append(_ token: TokenLogprob, at offset: Int, isEnd: Bool = false) {
        func text(_ id: Int) -> String { tokens.text(id, tokens.piece(id), showsSpecial: false) }
        let own = isEnd && !tokens.asIDs ? "" : text(token.id)
        var top: [(text: String, logprob: Double)] = []
        // Tokens of the same text are one key: the likeliest.
        for (text, logprob) in token.top.map({ (text($0.id), $0.logprob) }) + [(own, token.logprob)] {
            if let place = top.firstIndex(where: { $0.text.utf8.elementsEqual(text.utf8) }) {
                top[place].logprob = max(top[place].logprob, logprob)
            } else {
                top.append((text, logprob))
            }
        }
        entries.append(Entry(text: own, logprob: token.logprob, top: top, offset: offset))
    }

    func write(to line: inout JSONLine) {
        line.object { line in
            line.key("tokens")
            line.array { line in for entry in entries { line.value(entry.text) } }
            line.key("token_logprobs")
            line.array { line in
                for entry in entries {
                    if let logprob = entry.logprob { line.value(logprob) } else { line.null() }
                }
            }
            line.key("top_logprobs")
            line.array { line in
                for entry in entries {
                    guard let top = entry.top else {
                        line.null()
                        continue
                    }
                    line.object { line in
                        for (text, logprob) in top {
                            line.key(text)
                            line.value(logprob)
                        }
                    }
                }
            }
            line.key("text_offset")
            line.value(entries.map(\.offset))
        }
    }
}

/// Where tokens begin in a text, in Unicode scalars. One that goes on with a character begins where that does.
struct OpenAIOffsets: Sendable {
    private var detokenizer: Detokenizer?
    private var next: Int

    init(_ tokenizer: (any Tokenizer)?, from start: Int = 0) {
        detokenizer = tokenizer?.makeDetokenizer()
        next = start
    }

    /// - Parameter end: of the text; it may have been cut before a stop string.
    mutating func take(_ id: Int, end: Int) -> Int {
        let place = next
        next += detokenizer?.append(id).unicodeScalars.count ?? 0
        return min(place, end)
    }
}
