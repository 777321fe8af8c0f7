import DoraText
import Foundation
import Testing

@testable import DoraLoader

@Suite struct OwnedBytesTests {
    /// A file may claim any size: one beyond the machine's memory is refused and crashes nothing.
    @Test func aFileLargerThanMemoryIsRefused() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)").path
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        defer { try? FileManager.default.removeItem(atPath: path) }
        // No block of it is on disk.
        try #require(truncate(path, 1 << 43) == 0)
        #expect(throws: LoadError.self) { try OwnedBytes(readingFile: path) }
    }
}
