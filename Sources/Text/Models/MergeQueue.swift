/// A binary min-heap of possible merges, ordered by rank and then by position: both packed in one integer.
struct MergeQueue {
    private var heap: [UInt64] = []

    mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

    mutating func push(_ rank: UInt32, _ position: Int) {
        let entry = UInt64(rank) << 32 | UInt64(UInt32(truncatingIfNeeded: position))
        var hole = heap.count
        heap.append(entry)
        while hole > 0 {
            let parent = (hole - 1) / 2
            if heap[parent] <= entry { break }
            heap[hole] = heap[parent]
            hole = parent
        }
        heap[hole] = entry
    }

    mutating func pop() -> (rank: UInt32, position: Int)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        return (UInt32(top >> 32), Int(UInt32(truncatingIfNeeded: top)))
    }

    /// Puts `entry` in the place of the first.
    private mutating func sink(_ entry: UInt64) {
        var hole = 0
        while true {
            var child = hole * 2 + 1
            if child >= heap.count { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            if heap[child] >= entry { break }
            heap[hole] = heap[child]
            hole = child
        }
        heap[hole] = entry
    }
}
