/// The unigram language model: of all ways to cut a pre-token into tokens, the one with the highest sum of scores
/// (natural logarithms of probabilities), by Viterbi's algorithm.
///
/// Source: Kudo 2018, "Subword Regularization"; the `tokenizers` library's `Unigram`, whose order of additions and way
/// with ties this follows.
struct UnigramModel: SubwordModel {
    let vocabulary: Vocabulary
    private let scores: [Double]
    private let unknown: Int
    /// Of a character that no token is.
    private let unknownScore: Double
    /// By byte: the id of `<0xXX>`; nil unless all of them exist and are to be used.
    private let byteTokens: [Int?]
    private var tokens = ByteTrie()

    /// - Parameters:
    ///   - scores: one for each id of the vocabulary.
    ///   - unknown: an id of the vocabulary.
    init(vocabulary: Vocabulary, scores: [Double], unknown: Int, byteFallback: Bool) {
        self.vocabulary = vocabulary
        self.scores = scores
        self.unknown = unknown
        unknownScore = (scores.min() ?? 0) - 10
        byteTokens = byteFallback ? (0...255).map { vocabulary.id(of: ByteToken.spelling(UInt8($0))) } : []
        for id in scores.indices {
            if let token = vocabulary[id] { _ = tokens.insert(Array(token), value: id) }
        }
    }

    func encode(_ text: TextPieces, into ids: inout [Int]) {
        var ends: [End] = []
        text.encode(into: &ids) { bytes, range, ids in
            findPath(bytes, range, &ends)
            appendPath(bytes, range, ends, into: &ids)
        }
    }

    /// The best path that ends at a byte.
    private struct End {
        var id = 0
        var score = 0.0
        /// Where its last token begins, counted from the start of the pre-token; -1 where no path ends.
        var start = -1
    }

    private func findPath(_ bytes: [UInt8], _ range: Range<Int>, _ ends: inout [End]) {
        ends.removeAll(keepingCapacity: true)
        ends.append(contentsOf: repeatElement(End(), count: range.count + 1))
        func offer(_ id: Int, _ score: Double, _ start: Int, at end: Int) {
            if ends[end].start < 0 || score > ends[end].score {
                ends[end] = End(id: id, score: score, start: start)
            }
        }
        var start = 0
        while start < range.count {
            let length = UTF8Bytes.length(lead: bytes[range.lowerBound + start])
            let score = ends[start].score
            var hasCharacter = false
            tokens.forEachPrefix(of: bytes, range.lowerBound + start..<range.upperBound) { count, id in
                offer(id, scores[id] + score, start, at: start + count)
                if count == length { hasCharacter = true }
            }
            if !hasCharacter { offer(unknown, unknownScore + score, start, at: start + length) }
            start += length
        }
    }

    /// Unknown characters in a row are one unknown token, or all their bytes.
    private func appendPath(_ bytes: [UInt8], _ range: Range<Int>, _ ends: [End], into ids: inout [Int]) {
        var reversed: [Int] = []
        var end = range.count
        /// Where the run of unknown characters before `end` ends.
        var unknownEnd: Int?
        func flush() {
            if let last = unknownEnd {
                reversed += idsOfUnknown(bytes, range.lowerBound + end..<range.lowerBound + last).reversed()
            }
            unknownEnd = nil
        }
        while end > 0 {
            if ends[end].id == unknown {
                unknownEnd = unknownEnd ?? end
            } else {
                flush()
                reversed.append(ends[end].id)
            }
            end = ends[end].start
        }
        flush()
        ids += reversed.reversed()
    }

    private func idsOfUnknown(_ bytes: [UInt8], _ range: Range<Int>) -> [Int] {
        if let id = vocabulary.id(of: bytes, range) { return [id] }
        if byteTokens.isEmpty { return [unknown] }
        let ids = bytes[range].compactMap { byteTokens[Int($0)] }
        return ids.count == range.count ? ids : [unknown]
    }
}
