import Foundation

/// A folder for one test, removed with the value that holds it.
final class TemporaryFolder {
    let path: String

    init(_ files: [String: [UInt8]] = [:]) throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("dora-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
        for (name, bytes) in files { try write(name, bytes) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    }

    func write(_ name: String, _ text: String) throws {
        try write(name, Array(text.utf8))
    }

    func file(_ name: String) -> String { path + "/" + name }
}
