import DoraTensor
import DoraText
import Foundation
import Testing

@testable import DoraLoader

@Suite struct MappedFileTests {
    @Test func theWholeFileIsThere() throws {
        let folder = try TemporaryFolder(["a": Array(0...255)])
        let file = try MappedFile(path: folder.file("a"))
        #expect(Array(file.bytes) == Array(0...255))
    }

    @Test func anEmptyFileHasNoBytes() throws {
        let folder = try TemporaryFolder(["empty": []])
        #expect(try MappedFile(path: folder.file("empty")).bytes.isEmpty)
    }

    @Test func aMissingFileIsNamed() throws {
        let folder = try TemporaryFolder()
        expectRefusal(.missing, naming: [folder.file("no"), "no such file"]) {
            _ = try MappedFile(path: folder.file("no"))
        }
    }

    @Test func aFolderIsNoFile() throws {
        let folder = try TemporaryFolder()
        expectRefusal(.malformed, naming: [folder.path, "a folder"]) { _ = try MappedFile(path: folder.path) }
    }

    @Test func aPipeIsRefusedWithoutWaitingForAWriter() throws {
        let folder = try TemporaryFolder()
        #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
        expectRefusal(.malformed, naming: ["pipe"]) { _ = try MappedFile(path: folder.file("pipe")) }
    }

    @Test(.enabled(if: geteuid() != 0, "root may read every file"))
    func anUnreadableFileIsRefused() throws {
        let folder = try TemporaryFolder(["secret": [1]])
        #expect(chmod(folder.file("secret"), 0) == 0)
        expectRefusal(.missing, naming: ["secret", "ermission"]) {
            _ = try MappedFile(path: folder.file("secret"))
        }
    }

    @Test func droppedPagesGiveTheirMemoryBackAndCanBeReadAgain() throws {
        let size = 64 << 20
        let folder = try TemporaryFolder(["big": [UInt8](repeating: 7, count: size)])
        let file = try MappedFile(path: folder.file("big"))
        func sum() -> Int { stride(from: 0, to: size, by: 4096).reduce(0) { $0 + Int(file.bytes[$1]) } }
        #expect(sum() == size / 4096 * 7)
        let resident = try residentFileBytes()
        file.dropPages(0..<size)
        #expect(try resident - residentFileBytes() > size / 2)
        #expect(sum() == size / 4096 * 7)
        file.dropPages(-5..<size + 5)
    }

    /// A base matrix that an adapter's has replaced costs nothing once nobody has it.
    @Test func aPartThatNobodyNeedsGivesItsMemoryBack() throws {
        let size = 64 << 20
        var writer = SafetensorsWriter()
        writer.add("a", "U8", shape: [size], bytes: [UInt8](repeating: 7, count: size))
        let folder = try TemporaryFolder(["m.safetensors": writer.bytes])
        let tensor = try #require(try SafetensorsFile(path: folder.file("m.safetensors"))["a"])
        var part: SharedBytes? = tensor.shared
        let sum = stride(from: 0, to: size, by: 4096).reduce(0) { $0 + Int(part?.bytes[$1] ?? 0) }
        #expect(sum == size / 4096 * 7)
        let resident = try residentFileBytes()
        part = nil
        #expect(try resident - residentFileBytes() > size / 2)
    }

    @Test func aConfigurationOfGigabytesIsNotRead() throws {
        let folder = try TemporaryFolder(["config.json": [UInt8](repeating: 32, count: 1000)])
        expectRefusal(.malformed, naming: ["config.json", "999"]) {
            _ = try MappedFile.contents(of: folder.file("config.json"), atMost: 999)
        }
    }

    private func residentFileBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
        return try #require(Int(line.split { $0 == " " || $0 == "\t" }.dropLast().last ?? "")) * 1024
    }
}
