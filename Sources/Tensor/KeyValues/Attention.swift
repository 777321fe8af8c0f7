import CKernels

/// Causal attention of one step: rows of several sequences, each over its own keys and values.
package struct Attention {
    /// The rows of a step that belong to one sequence.
    package struct Part {
        let state: SequenceState
        let position: Int
        let rows: Range<Int>

        /// - Parameters:
        ///   - state: with room for the rows.
        ///   - position: of the first row.
        package init(state: SequenceState, position: Int, rows: Range<Int>) {
            self.state = state
            self.position = position
            self.rows = rows
        }
    }

    /// A few rows of one part under one key-value head.
    private struct Task {
        let part: Int
        let head: Int
        let rows: Range<Int>
    }

    /// Rows of a task.
    private static let taskRows = 12

    private let parts: [Part]
    private let geometry: StateGeometry
    private let heads: Int
    /// By group.
    private let tables: [BlockTable]
    private let tasks: [[Task]]

    /// - Parameter heads: query heads, grouped by the key-value head that they share.
    package init(_ parts: [Part], geometry: StateGeometry, heads: Int) {
        self.parts = parts
        self.geometry = geometry
        self.heads = heads
        for part in parts {
            precondition(part.state.holds(part.position..<part.position + part.rows.count))
        }
        tables = geometry.groups.indices.map { group in BlockTable(parts.map { $0.state.keyValues[group] }) }
        tasks = geometry.groups.map { Self.tasks(parts, heads: $0.shape.keyValueHeads) }
    }

    private static func tasks(_ parts: [Part], heads: Int) -> [Task] {
        var tasks: [Task] = []
        for (index, part) in parts.enumerated() {
            // The last rows have the most keys: they go first, so that no thread is left with them.
            for start in stride(from: part.rows.lowerBound, to: part.rows.upperBound, by: taskRows).reversed()
            {
                let rows = start..<min(start + taskRows, part.rows.upperBound)
                tasks += (0..<heads).map { Task(part: index, head: $0, rows: rows) }
            }
        }
        return tasks
    }

    /// Writes rows of keys and values, `keyValueHeads * headSize` numbers each and `stride` apart, at their positions.
    package func store(
        layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, stride: Int, on compute: Compute
    ) {
        for (part, var view) in zip(parts, views(of: layer)) {
            for (index, row) in part.rows.enumerated() {
                compute.kernels.pointee.store(
                    &view, Int64(part.position + index), keys + row * stride, values + row * stride)
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
        let place = geometry.places[layer]
        let shape = geometry.groups[place.group].shape
        let group = heads / shape.keyValueHeads
        let width = heads * shape.headSize
        let layers = views(of: layer)
        let tasks = self.tasks[place.group]
        compute.parallel(tasks.count) { index in
            let task = tasks[index]
            let part = parts[task.part]
            let head = task.head * group * shape.headSize
            var attention = dk_attention()
            attention.kv_head = Int64(task.head)
            attention.group = Int64(group)
            attention.position = Int64(part.position + task.rows.lowerBound - part.rows.lowerBound)
            attention.tokens = Int64(task.rows.count)
            attention.window = Int64(scores.window ?? 0)
            attention.scale = scores.scale
            attention.cap = scores.cap ?? 0
            attention.query_stride = Int64(stride)
            attention.out_stride = Int64(width)
            withUnsafePointer(to: layers[task.part]) { view in
                compute.kernels.pointee.attend(
                    view, &attention, queries + task.rows.lowerBound * stride + head,
                    out + task.rows.lowerBound * width + head)
            }
        }
    }

    /// What the kernels see of one layer, part by part.
    private func views(of layer: Int) -> [dk_cache] {
        let place = geometry.places[layer]
        let (table, view) = (tables[place.group], geometry.groups[place.group].view(layer: place.layer))
        return parts.indices.map { part in
            var view = view
            view.blocks = UnsafePointer(table.pointers + table.starts[part])
            view.first_block = Int64(table.firsts[part])
            return view
        }
    }
}

/// Where the blocks of a group lie, sequence by sequence, for the kernels.
private final class BlockTable {
    let pointers: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Index of each sequence's first pointer, and which of its blocks that is.
    let starts: [Int]
    let firsts: [Int]

    init(_ sequences: [KeyValueBlocks]) {
        pointers = .allocate(capacity: max(1, sequences.reduce(0) { $0 + $1.blocks.count }))
        var (starts, count) = ([Int](), 0)
        for sequence in sequences {
            starts.append(count)
            for block in sequence.blocks {
                (pointers + count).initialize(to: block.pointer)
                count += 1
            }
        }
        self.starts = starts
        firsts = sequences.map(\.first)
    }

    deinit { pointers.deallocate() }
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
