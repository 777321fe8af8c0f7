import FoundationEssentials

/// A family's fixture with a longer context and a window of more than a block, in a folder of its own.
final class WindowedModel {
    static let window = 100
    let folder: String

    init(_ family: String) throws {
        let files = FileManager.default
        let url = files.temporaryDirectory.appending(path: "windowed-\(UUID())")
        try files.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
        let base = "families/\(family)/base"
        try files.copyItem(
            atPath: Fixtures.path("\(base)/model.safetensors"), toPath: folder + "/model.safetensors")
        let config = try String(
            decoding: Data(contentsOf: Fixtures.url("\(base)/config.json")), as: UTF8.self
        )
        .replacing("\"sliding_window\": 6", with: "\"sliding_window\": \(Self.window)")
        .replacing("\"max_position_embeddings\": 64", with: "\"max_position_embeddings\": 2048")
        try Data(config.utf8).write(to: url.appending(path: "config.json"))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
}
