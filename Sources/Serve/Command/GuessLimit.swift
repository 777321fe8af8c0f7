/// How many tokens a sequence guesses in a step, as options spell it: `off` or a number.
package enum GuessLimit {
    package static let wanted = "off, or 1 to 64"

    package static func read(_ text: String) -> Int? {
        if text == "off" { return 0 }
        return Int(text).flatMap { (1...64).contains($0) ? $0 : nil }
    }
}
