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

    /// Writes rows of keys and values, `[rows, keyValueHeads * headSize]`, behind the positions so far.
    package func store(
        layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, on compute: Compute
    ) {
        let width = geometry.keyValueHeads * geometry.headSize
        for part in parts {
            var view = part.cache.view(layer: layer)
            for (index, row) in part.rows.enumerated() {
                compute.kernels.pointee.store(
                    &view, Int64(part.cache.count + index), keys + row * width, values + row * width)
            }
        }
    }

    /// Attends from the positions just stored: `queries` and `out` `[rows, heads * headSize]`.
    package func attend(
        layer: Int, queries: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>, on compute: Compute
    ) {
        let group = heads / geometry.keyValueHeads
        let stride = heads * geometry.headSize
        let scale = 1 / Float(geometry.headSize).squareRoot()
        let views = parts.map { $0.cache.view(layer: layer) }
        compute.parallel(tasks.count) { index in
            let task = tasks[index]
            let part = parts[task.part]
            let position = part.cache.count + task.rows.lowerBound - part.rows.lowerBound
            let offset = task.rows.lowerBound * stride + task.head * group * geometry.headSize
            withUnsafePointer(to: views[task.part]) { view in
                compute.kernels.pointee.attend(
                    view, Int64(task.head), Int64(group), Int64(position), Int64(task.rows.count), scale,
                    queries + offset, out + offset, Int64(stride))
            }
        }
    }
}
