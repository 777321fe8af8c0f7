import DoraLoader
import DoraText
import Testing

/// Runs `body` and checks the error that it throws: its kind, and what its message names.
func expectRefusal(
    _ code: LoadError.Code, naming words: [String], sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    do {
        try body()
        Issue.record("nothing was refused", sourceLocation: sourceLocation)
    } catch let error as LoadError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        for word in words {
            #expect("\(error)".contains(word), "\(error)", sourceLocation: sourceLocation)
        }
    } catch {
        Issue.record("not a LoadError: \(error)", sourceLocation: sourceLocation)
    }
}
