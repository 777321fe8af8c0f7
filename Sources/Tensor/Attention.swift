import CKernels

/// Causal attention of one step: rows of several sequences, each over its own cache.
package struct Attention {
    /// The rows of a step that belong to one sequence; they follow the positions that its cache holds.
    package struct Part {
        let cache: KeyValueCache
        let rows: Range<Int>

        package init(cache: KeyValueCache, rows: Range<Int>) {
            self.cache = cache
            self.rows = rows
        }
    }

    /// A few rows of one part under one key-value head.
    private struct Task {
        let part: Int
        let head: Int
        let rows: Range<Int>
    }

    private let parts: [Part]
    private let tasks: [Task]
    private let heads: Int
    private let geometry: KeyValueGeometry

    /// - Parameter heads: query heads, grouped by the key-value head that they share.
    package init(_ parts: [Part], geometry: KeyValueGeometry, heads: Int) {
        self.parts = parts
        self.heads = heads
        self.geometry = geometry
        let rowsPerTask = 12
        var tasks: [Task] = []
        for (index, part) in parts.enumerated() {
            // The last rows have the most keys: they go first, so that no thread is left with them.
            for start in stride(from: part.rows.lowerBound, to: part.rows.upperBound, by: rowsPerTask)
                .reversed()
            {
                let rows = start..<min(start + rowsPerTask, part.rows.upperBound)
                tasks += (0..<geometry.keyValueHeads).map { Task(part: index, head: $0, rows: rows) }
            }
        }
        self.tasks = tasks
    }

    /// Writes rows of keys and values, `keyValueHeads * headSize` numbers each and `stride` apart, behind the positions
    /// so far.
    package func store(
        layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, stride: Int, on compute: Compute
    ) {
        for part in parts {
            var view = part.cache.view(layer: layer)
            for (index, row) in part.rows.enumerated() {
                compute.kernels.pointee.store(
                    &view, Int64(part.cache.count + index), keys + row * stride, values + row * stride)
            }
        }
    }

    /// Attends from the positions just stored.
    /// - Parameters:
    ///   - queries: rows of `heads * headSize` numbers, `stride` apart.
    ///   - out: `[rows, heads * headSize]`.
    package func attend(
        layer: Int, _ scores: AttentionScores, queries: UnsafePointer<Float>, stride: Int,
        out: UnsafeMutablePointer<Float>, on compute: Compute
    ) {
        let group = heads / geometry.keyValueHeads
        let width = heads * geometry.headSize
        let views = parts.map { $0.cache.view(layer: layer) }
        compute.parallel(tasks.count) { index in
            let task = tasks[index]
            let part = parts[task.part]
            let head = task.head * group * geometry.headSize
            var attention = dk_attention()
            attention.kv_head = Int64(task.head)
            attention.group = Int64(group)
            attention.position = Int64(part.cache.count + task.rows.lowerBound - part.rows.lowerBound)
            attention.tokens = Int64(task.rows.count)
            attention.window = Int64(scores.window ?? 0)
            attention.scale = scores.scale
            attention.cap = scores.cap ?? 0
            attention.query_stride = Int64(stride)
            attention.out_stride = Int64(width)
            withUnsafePointer(to: views[task.part]) { view in
                compute.kernels.pointee.attend(
                    view, &attention, queries + task.rows.lowerBound * stride + head,
                    out + task.rows.lowerBound * width + head)
            }
        }
    }
}

/// How a layer's queries look at keys.
package struct AttentionScores: Sendable, Equatable {
    /// Of scores.
    package let scale: Float
    /// Keys that a query sees, its own the last; nil for all before it.
    package let window: Int?
    /// Scores become cap tanh(score / cap).
    package let cap: Float?

    package init(scale: Float, window: Int? = nil, cap: Float? = nil) {
        self.scale = scale
        self.window = window
        self.cap = cap
    }
}
