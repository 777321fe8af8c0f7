/// Which adjacent pairs of tokens merge, in which order and to what: open addressing on the packed pair.
struct MergeTable: Sendable {
    /// `left` and `right` merge to `result`, before all merges of a higher `rank`.
    struct Merge: Sendable {
        var left: UInt32
        var right: UInt32
        var rank: UInt32
        var result: UInt32
    }

    /// `rank` of a free slot.
    private static let free = UInt32.max
    private var slots: [Merge]

    /// Of two merges of the same pair the later one counts, as in the reference.
    init(_ merges: [Merge]) {
        var capacity = 16
        while capacity < merges.count * 2 { capacity *= 2 }
        slots = Array(repeating: Merge(left: 0, right: 0, rank: Self.free, result: 0), count: capacity)
        for merge in merges {
            slots[find(merge.left, merge.right)] = merge
        }
    }

    /// The merge of the pair, or nil.
    subscript(left: UInt32, right: UInt32) -> Merge? {
        let merge = slots[find(left, right)]
        return merge.rank == Self.free ? nil : merge
    }

    private func find(_ left: UInt32, _ right: UInt32) -> Int {
        let mask = slots.count - 1
        let key = (UInt64(left) << 32 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15
        var slot = Int(truncatingIfNeeded: key >> 32) & mask
        while true {
            let entry = slots[slot]
            if entry.rank == Self.free || (entry.left == left && entry.right == right) { return slot }
            slot = (slot + 1) & mask
        }
    }
}
