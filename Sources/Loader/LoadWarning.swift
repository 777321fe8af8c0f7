/// What is served as the files say but may not be what their owner thinks: one line, however many tensors it is about.
package struct LoadWarning: Sendable, Equatable, CustomStringConvertible {
    /// Counts, and names the worst or the first.
    package let summary: String
    /// One line for each module, tensor or name that the summary counts; empty where the summary says it all.
    package let details: [String]

    package var description: String { summary }

    package init(_ summary: String, details: [String] = []) {
        self.summary = summary
        self.details = details.count > 1 ? details : []
    }
}

extension [String] {
    /// The first, and how many more there are.
    var firstAndCount: String {
        guard let first else { return "none" }
        return count == 1 ? first : "\(first) and \(count - 1) more"
    }
}
