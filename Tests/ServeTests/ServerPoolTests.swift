import DoraRuntime
import DoraText
import NIOCore
import Testing

@testable import DoraServe

/// Several servers behind one client.
@Suite struct ServerPoolTests {
    private static let three = (1...3).map { ListenAddress.tcp(host: "10.0.0.\($0)", port: 7077) }
    private static let names = (0..<3000).map { "adapter-\($0)" }

    private func address(_ server: TestServer) throws -> ListenAddress {
        .tcp(host: "127.0.0.1", port: try #require(server.address.port))
    }

    /// An adapter's name does not matter to where a request without one goes: to the home of the empty name.
    private func inOrder(_ servers: [TestServer]) throws -> [TestServer] {
        ServerRanking.order(of: "", among: try servers.map(address)).map { servers[$0] }
    }

    private static func request(_ tokens: Int, streams: Bool = false) -> JSONObject {
        JSONObject([
            ("token_ids", .array([.int(1), .int(5)])), ("max_tokens", .int(tokens)),
            ("ignore_eos", .bool(true)), ("logprobs", .int(2)), ("stream", .bool(streams)),
        ])
    }

    @Test("Each server is the home of its share of the adapters")
    func shares() {
        var counts = [0, 0, 0]
        for name in Self.names { counts[ServerRanking.order(of: name, among: Self.three)[0]] += 1 }
        #expect(counts.allSatisfy { (900...1100).contains($0) }, "\(counts)")
    }

    @Test("Only the adapters of a server that leaves move, and each server takes some of them")
    func movesLittle() {
        var takers: Set<Int> = []
        for name in Self.names {
            let order = ServerRanking.order(of: name, among: Self.three)
            let rest = ServerRanking.order(of: name, among: Array(Self.three.dropLast()))
            #expect(rest == order.filter { $0 != 2 })
            if order[0] == 2 { takers.insert(rest[0]) }
        }
        #expect(takers == [0, 1])
    }

    @Test("The home does not depend on the order of the addresses, nor on the generation")
    func knowsNames() {
        for name in Self.names.prefix(100) {
            let home = Self.three[ServerRanking.order(of: name, among: Self.three)[0]]
            let reversed = Array(Self.three.reversed())
            #expect(reversed[ServerRanking.order(of: name, among: reversed)[0]] == home)
            #expect(Self.three[ServerRanking.order(of: name + "@7", among: Self.three)[0]] == home)
        }
    }

    @Test func addressesStandBetweenCommas() throws {
        #expect(try ListenAddress.list("tcp:10.0.0.1:7077,tcp:10.0.0.2:7077") == Array(Self.three.prefix(2)))
        #expect(try ListenAddress.list("unix:/tmp/s") == [.unix(path: "/tmp/s")])
        #expect(throws: ListenAddress.Malformed.self) { try ListenAddress.list("tcp:10.0.0.1:7077,") }
    }

    @Test("A request goes to its home, and from a server that is gone to the next")
    func movesOn() async throws {
        let servers = try inOrder([try await TestServer(), try await TestServer()])
        let pool = try await ServerPool(try servers.map(address), token: nil)
        let first = try await pool.lastLine(of: Self.request(8), as: 1)
        #expect(await servers[0].statistics().steps > 0)
        #expect(await servers[1].statistics().steps == 0)
        try await servers[0].stop()
        let second = try await pool.lastLine(of: Self.request(8), as: 2)
        #expect(await servers[1].statistics().steps > 0)
        #expect(first["token_ids"] != nil && second["token_ids"] == first["token_ids"])
        #expect(second["logprobs"] == first["logprobs"])

        try await servers[1].stop()
        let nobody = await #expect(throws: ServerClient.Problem.self) {
            try await pool.lastLine(of: Self.request(8), as: 3)
        }
        #expect(ExitStatus(try #require(nobody)) == .unavailable)
        await #expect(throws: ServerClient.Problem.self) {
            try await ServerPool(try servers.map(address), token: nil)
        }
    }

    @Test("A server that is gone when the client starts is passed over, and found again when it is back")
    func startsWithoutOne() async throws {
        let server = try await TestServer()
        let gone = try await TestServer()
        let addresses = [try address(gone), try address(server)]
        try await gone.stop()
        let pool = try await ServerPool(addresses, token: nil)
        for (number, name) in ["", "a", "b", "c", "d"].enumerated() {
            let line = Self.request(2).with("adapter", name.isEmpty ? .null : .string(name))
            let last = try await pool.lastLine(of: line, as: number + 1)
            // What the server refuses is its answer, and no reason to ask another.
            #expect(name.isEmpty ? last["token_ids"] != nil : last.errorCode == "unknown_adapter")
        }
        #expect(try await pool.adapterNames().isEmpty)
        try await server.stop()
    }

    @Test("A draining server's requests go on elsewhere")
    func leavesDrainingServers() async throws {
        let servers = try inOrder([try await TestServer(), try await TestServer()])
        let pool = try await ServerPool(try servers.map(address), token: nil)
        let hold = await EngineHold(servers[0].state.engine)
        // In flight, so that the connection outlives the drain's beginning.
        async let running = pool.lastLine(of: Self.request(4), as: 1)
        #expect(await hold.waiting(1))
        async let stopped: Void = servers[0].stop()
        #expect(await eventually { servers[0].state.isDraining })
        let other = try await pool.lastLine(of: Self.request(4), as: 2)
        #expect(await servers[1].statistics().steps > 0)
        hold.release()
        let first = try await running
        #expect(first["token_ids"] != nil && first["token_ids"] == other["token_ids"])
        try await stopped
        try await servers[1].stop()
    }

    @Test("A stream that loses its server goes on, and says nothing twice")
    func continuesStreams() async throws {
        let servers = try inOrder([try await TestServer(), try await TestServer()])
        let pool = try await ServerPool(try servers.map(address), token: nil)
        var (ids, text): ([JSONValue], String) = ([], "")
        var last: JSONObject?
        for try await line in pool.answer(Self.request(100, streams: true), as: 1) {
            if line["done"]?.bool == true {
                last = line
            } else {
                ids += line["token_ids"]?.array ?? []
                text += line["text"]?.string ?? ""
                if ids.count < 5 { servers[0].state.closeAll() }
            }
        }
        #expect(await servers[1].statistics().steps > 0)
        #expect(ids.count == 100 && last?["token_ids"]?.array == ids)
        if let whole = last?["text"]?.string { #expect(whole == text) }
        for server in servers { try await server.stop() }
    }

    @Test("An answer that differs from what was handed on is no continuation")
    func noticesOthers() throws {
        func piece(_ text: String, _ ids: Int...) -> JSONObject {
            JSONObject([("text", .string(text)), ("token_ids", .array(ids.map { .int($0) }))])
        }
        var progress = StreamProgress()
        #expect(try progress.rest(of: piece("one", 1)) == piece("one", 1))
        #expect(try progress.rest(of: piece(" two", 2, 3)) == piece(" two", 2, 3))
        progress.restart()
        #expect(try progress.rest(of: piece("on", 1)) == nil)
        #expect(try progress.rest(of: piece("e two thr", 2, 3, 4)) == piece(" thr", 4))
        #expect(try progress.rest(of: piece("ee", 5)) == piece("ee", 5))
        progress.restart()
        #expect(throws: StreamProgress.Difference.self) { try progress.rest(of: piece("other", 1)) }
        var other = StreamProgress()
        _ = try other.rest(of: piece("one", 1))
        other.restart()
        let last = JSONObject([
            ("done", .bool(true)), ("text", .string("two")), ("token_ids", .array([.int(1)])),
        ])
        #expect(throws: StreamProgress.Difference.self) { try other.rest(of: last) }
    }
}
