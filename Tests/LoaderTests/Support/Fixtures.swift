import Foundation
import Testing

/// Folders of test data: small models and adapters made by PEFT, and real adapters that are not ours to ship.
enum Fixtures {
    /// `Tests/Fixtures`, made by the Python scripts in its `make` folder.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures").path

    static let matching = folder + "/golden/peft_matching.json"
    static let areThere = FileManager.default.fileExists(atPath: matching)

    /// `DORA_TEST_DATA`: a folder with downloaded adapters in `adapters/`; tests that need it say so when it is not set.
    static let realData = ProcessInfo.processInfo.environment["DORA_TEST_DATA"]

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// The (base, adapter) pairs for which PEFT's output was recorded, sums and factors aside.
    static let pairs: [Pair] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/golden")) ?? []
        let pairs = names.compactMap { name -> Pair? in
            guard let text = FileManager.default.contents(atPath: folder + "/golden/" + name),
                let object = try? JSONSerialization.jsonObject(with: text) as? [String: Any],
                let base = object["base"] as? String, let adapter = object["adapter"] as? String,
                !adapter.contains("*")
            else { return nil }
            return Pair(base: base, adapter: adapter)
        }
        return Set(pairs).sorted { ($0.base, $0.adapter) < ($1.base, $1.adapter) }
    }()

    struct Pair: Hashable, Sendable, CustomTestStringConvertible {
        let base: String
        let adapter: String

        var testDescription: String { "\(adapter) on \(base)" }
    }
}
