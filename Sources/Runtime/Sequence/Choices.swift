/// Texts of which one is to be the answer.
///
/// The answer is found as greedy decoding finds a text, among the tokens that lead to a choice: as long as several
/// go on differently, the likeliest next token decides. Where one ends and others go on, its end is as likely as the
/// likeliest EOS. So it is with structured outputs elsewhere (vLLM's `guided_choice`), but that no EOS need be made
/// where nothing else can follow. Of equally likely ones, the one that leads to the choice that was given first.
package struct Choices: Sendable, Equatable {
    /// How an answer may go on.
    enum Option: Sendable, Equatable {
        /// It is this choice, whole.
        case end(Int)
        case token(Int, TokenTrie.Node)
    }

    let trie: TokenTrie
    /// As they were given; nil where there is no tokenizer.
    private let texts: [String?]

    /// - Parameters:
    ///   - tokens: of each choice.
    ///   - texts: of each choice; nil where nobody knows it.
    package init(_ tokens: [[Int]], texts: [String?]) {
        trie = TokenTrie(tokens)
        self.texts = texts
    }

    package var tokens: [[Int]] { trie.sequences }
    var longest: Int { tokens.map(\.count).max() ?? 0 }

    func text(of choice: Int) -> String? { texts.indices.contains(choice) ? texts[choice] : nil }

    /// In the order of the choices that they lead to.
    func options(at node: TokenTrie.Node) -> [Option] {
        var options = trie.children(of: node).map { child in
            let places = child.places
            return (
                first: places.map { trie.order[$0] }.min() ?? 0,
                option: Option.token(trie.sequence(at: places.lowerBound)[node.depth], child)
            )
        }
        if let end = trie.end(at: node) { options.append((end, .end(end))) }
        return options.sorted { $0.first < $1.first }.map(\.option)
    }

    /// The likeliest of the options.
    /// - Throws: `RuntimeError.notFinite`
    func decide(
        at node: TokenTrie.Node, by logits: UnsafeBufferPointer<Float>, ends: Set<Int>
    ) throws(RuntimeError) -> Option? {
        _ = try Logits.greedy(logits)
        var best: (logit: Float, option: Option)?
        for option in options(at: node) {
            let ids: Set<Int> =
                switch option {
                case .end: ends
                case .token(let id, _): [id]
                }
            let known = ids.filter { logits.indices.contains($0) }
            guard let logit = known.map({ logits[$0] }).max() else { continue }
            if logit > best?.logit ?? -.infinity { best = (logit, option) }
        }
        return best?.option
    }

    /// Whether a model can choose among these behind a prompt.
    func check(prompt: Int, vocabularySize: Int, context: Int, eosIDs: [Int]) throws(RuntimeError) {
        for (index, choice) in tokens.enumerated() {
            guard !choice.isEmpty else { throw .emptyChoice(index) }
            if let id = choice.first(where: { $0 < 0 || $0 >= vocabularySize }) {
                throw .choiceOutOfRange(index, id: id, vocabularySize: vocabularySize)
            }
            guard prompt + choice.count <= context else {
                throw .choiceTooLong(index, tokens: prompt + choice.count, context: context)
            }
        }
        let hasEnd = eosIDs.contains { 0..<vocabularySize ~= $0 }
        // One that others begin with lies just before one of them.
        for (first, second) in zip(trie.order, trie.order.dropFirst()) {
            if tokens[first] == tokens[second] { throw .equalChoices(first, second) }
            if !hasEnd, tokens[second].starts(with: tokens[first]) { throw .endlessChoice(first, second) }
        }
    }
}

/// An answer while it is chosen: a constraint on the tokens of a sequence.
struct ChoiceWalk {
    let choices: Choices
    private let ends: Set<Int>
    private(set) var node: TokenTrie.Node
    /// The answer's tokens so far: what logits decided, and what follows without alternative.
    private(set) var tokens: [Int] = []
    /// The choice, once it is made.
    private(set) var answer: Int?

    /// - Parameter ends: EOS ids, for choices that others begin with.
    init(_ choices: Choices, ends: Set<Int>) {
        self.choices = choices
        self.ends = ends
        node = choices.trie.root
        takeOnly()
    }

    /// Decides by the logits behind `tokens`; answers with the tokens that are new.
    /// - Throws: `RuntimeError.notFinite`
    mutating func advance(by logits: UnsafeBufferPointer<Float>) throws(RuntimeError) -> ArraySlice<Int> {
        let known = tokens.count
        if let option = try choices.decide(at: node, by: logits, ends: ends) { take(option) }
        return tokens[known...]
    }

    mutating func take(_ option: Choices.Option) {
        switch option {
        case .end(let choice): answer = choice
        case .token(let id, let next):
            tokens.append(id)
            node = next
            takeOnly()
        }
    }

    /// Goes on to where something is left to decide.
    private mutating func takeOnly() {
        let options = choices.options(at: node)
        if options.count == 1 { take(options[0]) }
    }

    /// Shows the answer, which is one of the texts letter by letter, whatever its tokens decode to.
    func finish(
        scores: Scores? = nil, emit: (_ id: Int, _ text: String) -> Bool
    ) -> Completion {
        var completion = Completion()
        completion.text = ""
        completion.tokenIDs = tokens
        completion.finishReason = .cancelled
        guard let answer, let last = tokens.last else { return completion }
        completion.text = choices.text(of: answer)
        completion.logprobs = scores?.lists[answer] ?? []
        completion.choice = Completion.Choice(index: answer, scores: scores)
        completion.finishReason = .stop
        for id in tokens.dropLast() where !emit(id, "") { return completion }
        _ = emit(last, completion.text ?? "")
        return completion
    }
}
