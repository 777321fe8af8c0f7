import Foundation
import Testing

@testable import DoraServe

#if canImport(Glibc)
import Glibc
#endif

/// The server as a service manager runs it.
@Suite struct ServiceTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func removeFolder() { try? FileManager.default.removeItem(at: folder) }

    /// A server that listens at `s` in the folder.
    private func start(_ options: [String] = [], environment: [String: String] = [:]) throws -> Process {
        let server = Process()
        server.executableURL = ProcessTests.program("dora-serve")
        server.arguments =
            ["--listen", "unix:" + folder.appending(path: "s").path, "--log-level", "error"] + options
        server.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        server.standardOutput = Pipe()
        try server.run()
        return server
    }

    /// The permissions of the socket, if it is there by now.
    private func mode() -> Int? {
        let path = folder.appending(path: "s").path
        return try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test(arguments: [
        ([String](), 0o600), (["--socket-mode", "660"], 0o660), (["--socket-mode", "0666"], 0o666),
    ])
    func socketsAreForThoseWhomTheModeNames(options: [String], expected: Int) async throws {
        defer { removeFolder() }
        let server = try start(options)
        defer { server.terminate() }
        #expect(await eventually { mode() == expected }, "\(String(describing: mode()))")
    }

    @Test(arguments: ["", "abc", "888", "060", "1777", "-1"])
    func aModeThatWouldLockTheServerOutIsNone(mode: String) async {
        await #expect {
            try await ServerSettings(
                flags: [.model: ["m"], .socketMode: [mode]], environment: [:], file: nil)
        } throws: { ($0 as? OptionProblem)?.option == "--socket-mode" }
    }

    @Test func theManagerHearsOfEachState() throws {
        defer { removeFolder() }
        let path = folder.appending(path: "notify").path
        let manager = try Datagrams(path)
        let server = try start(
            ["--adapter", ProcessTests.repository + "/models/adapters/topic"],
            environment: ["NOTIFY_SOCKET": path])
        var heard = [try #require(manager.next())]
        while let next = heard.last, !next.hasPrefix("READY=1"), let message = manager.next() {
            heard.append(message)
        }
        #expect(heard.first?.hasPrefix("STATUS=loading ") == true)
        #expect(heard.dropFirst().first == "STATUS=merging topic")
        // Whoever is told so can connect.
        #expect(heard.last == "READY=1\nSTATUS=listening on unix:\(folder.appending(path: "s").path)")
        server.terminate()
        #expect(manager.next()?.hasPrefix("STOPPING=1\n") == true)
        server.waitUntilExit()
        #expect(server.terminationStatus == 0)
    }

    @Test func aManagerIsAPathOrAnAbstractName() {
        #expect(ServiceManager(environment: [:]) == nil)
        for name in ["", "/", "@", "run/notify", "/" + String(repeating: "x", count: 108)] {
            #expect(ServiceManager(environment: ["NOTIFY_SOCKET": name]) == nil, "\(name)")
        }
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "@/org/freedesktop/x"]) != nil)
    }
}

/// A socket in the file system that takes datagrams.
private final class Datagrams {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(107))) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Nil if none comes within a minute.
    func next() -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
