/// Elements in the order in which they were used, the one that was of no use for longest first.
struct RecencyList<Element: Hashable> {
    private struct Links {
        var before: Element?
        var after: Element?
    }

    private var links: [Element: Links] = [:]
    private var first: Element?
    private var last: Element?

    /// Puts an element last, wherever it was.
    mutating func use(_ element: Element) {
        remove(element)
        links[element] = Links(before: last)
        if let last { links[last]?.after = element } else { first = element }
        last = element
    }

    mutating func remove(_ element: Element) {
        guard let own = links.removeValue(forKey: element) else { return }
        if let before = own.before { links[before]?.after = own.after } else { first = own.after }
        if let after = own.after { links[after]?.before = own.before } else { last = own.before }
    }

    func first(where isMeant: (Element) -> Bool) -> Element? {
        var next = first
        while let element = next, !isMeant(element) { next = links[element]?.after }
        return next
    }
}
