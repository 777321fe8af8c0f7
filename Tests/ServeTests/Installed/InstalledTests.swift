import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// What a program finds where it is installed.
@Suite struct InstalledTests {
    private let root = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")
        .path

    private func make(_ file: String) throws {
        let path = root + "/" + file
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: path))
    }

    @Test(
        arguments: [
            ("usr/share/dora/models/base", "usr/bin/dora"), ("share/dora/models/base", "bin/dora"),
            ("models/base", ".build/x/release/dora-serve"), ("opt/models/base", "opt/dora-serve"),
        ])
    func theDemoModelLiesBesideTheProgram(model: String, program: String) throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try make(model + "/config.json")
        #expect(BundledModel.find(above: "\(root)/\(program)") == "\(root)/\(model)")
    }

    @Test func anotherModelIsNoDemoModel() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try make("usr/share/models/base/config.json")
        try make("usr/share/dora/models/base/README")
        #expect(BundledModel.find(above: "\(root)/usr/bin/dora") == nil)
    }

    @Test func pathsAreDecoded() {
        #expect("org%2Fname%20%c3%A4%25".percentDecoded == "org/name ä%")
        for broken in ["%", "%2", "%2g", "a%zz", "%C3", "%+1"] {
            #expect(broken.percentDecoded == nil, "\(broken)")
        }
    }
}
