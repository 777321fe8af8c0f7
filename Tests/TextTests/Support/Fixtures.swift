import Foundation

/// Files of test data.
enum Fixtures {
    /// `Tests/Fixtures`, made by the Python scripts in its `make` folder.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures").path

    /// `DORA_TEST_DATA`: a folder with vocabularies in `tokenizers/`; tests that need it say so when it is not set.
    static let realData = ProcessInfo.processInfo.environment["DORA_TEST_DATA"]

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
