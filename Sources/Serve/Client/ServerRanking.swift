/// Which of several servers an adapter's requests go to: rendezvous hashing.
///
/// Each pair of an adapter and an address has a score, and the adapter's servers are all of them by falling score. The
/// first is its home; without one server the others' order stays, so that only its own adapters move.
package enum ServerRanking {
    /// Indices of `addresses`, the adapter's home first.
    /// - Parameter adapter: a name, with or without `@generation`; empty for requests that name none.
    package static func order(of adapter: String, among addresses: [ListenAddress]) -> [Int] {
        let name = adapter.prefix { $0 != "@" }
        let scores = addresses.map { score("\($0)\0\(name)") }
        return addresses.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
    }

    /// FNV-1a, whose upper bits hardly see the last letters, and murmur3's finalizer, which mixes them.
    private static func score(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ hash >> 33
    }
}
