/// Replies to plain lines, which go out in the order in which the lines came in.
struct PlainReplies {
    private var replies: [String?] = []
    /// The number of the first slot that has not been sent.
    private var first = 0

    var isEmpty: Bool { replies.isEmpty }
    /// Replies that are awaited, or wait for one before them.
    var count: Int { replies.count }

    /// A place in the order.
    mutating func open() -> Int {
        replies.append(nil)
        return first + replies.count - 1
    }

    /// Fills a place; answers the lines that can be sent now.
    mutating func fill(_ slot: Int, _ line: String) -> [String] {
        replies[slot - first] = line
        let ready = replies.prefix { $0 != nil }.compactMap { $0 }
        replies.removeFirst(ready.count)
        first += ready.count
        return ready
    }
}
