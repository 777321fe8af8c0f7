/// Other regular expressions.
struct ScalarExpression: Sendable {
    struct Problem: Error {
        let code: LoadError.Code
        let problem: String
    }

    init(_ source: String) throws(Problem) {
        throw Problem(code: .unsupported, problem: "the regular expression \(source) is not supported")
    }

    func firstMatch(in bytes: [UInt8], _ range: Range<Int>, from start: Int) -> Range<Int>? { nil }
}
