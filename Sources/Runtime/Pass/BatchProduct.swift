import DoraLoader
import DoraTensor

/// Multiplies the rows of a step by the matrices that their sequences use.
///
/// Rows are grouped by matrix, and two matrices are the same only if they are one object: what the adapters of a step
/// left alone, or only add something beside, is read once for all of them, and only what they replaced runs apart. A row's
/// result does not depend on its group.
struct BatchProduct {
    /// Most rows of a step.
    let capacity: Int
    /// Of the rows that are gathered.
    let secondTerms: SecondTerms
    let compute: Compute
    private var inputs: [Int: Activations] = [:]
    private var results: Rows?

    init(capacity: Int, secondTerms: SecondTerms, on compute: Compute) {
        self.capacity = capacity
        self.secondTerms = secondTerms
        self.compute = compute
    }

    /// Which of a model's linear maps to apply, and where its results go.
    struct Target {
        let out: UnsafeMutablePointer<Float>
        /// Floats between rows.
        let stride: Int
        /// Nil where the model has none.
        let linear: (ModelWeights) -> Linear?

        init(out: UnsafeMutablePointer<Float>, stride: Int, linear: @escaping (ModelWeights) -> Linear?) {
            self.out = out
            self.stride = stride
            self.linear = linear
        }

        init(_ rows: Rows, linear: @escaping (ModelWeights) -> Linear?) {
            self.init(out: rows.floats, stride: rows.stride, linear: linear)
        }

        func row(_ index: Int) -> UnsafeMutablePointer<Float> { out + index * stride }
    }

    /// `out[row] = input[row] x matrix^T + bias` for every target, each part of `parts` by its own weights, and with what
    /// they have beside the matrix.
    mutating func multiply(_ input: Activations, parts: [StepRows], into targets: [Target]) throws {
        var whole: [Activations.Product] = []
        for target in targets {
            let groups = groups(of: parts, by: target.linear)
            if let group = groups.first, groups.count == 1 {
                whole.append(
                    Activations.Product(
                        by: group.matrix, into: target.out, stride: target.stride, additions: group.additions)
                )
            } else {
                for group in groups { try multiply(input, by: group, into: target) }
            }
        }
        try input.multiply(whole, on: compute)
    }

    /// Rows of a step that meet one matrix.
    private struct Group {
        let matrix: PackedMatrix
        var rows: [Int] = []
        /// Their tokens count within the group.
        var additions: [Activations.Addition] = []

        mutating func add(_ part: Range<Int>, by linear: Linear) {
            let tokens = rows.count..<rows.count + part.count
            rows += part
            guard linear.part != nil || linear.bias != nil else { return }
            // Neighbours with the same part are of one adapter, and go through it together.
            if let last = additions.last, let shared = linear.part, last.part === shared,
                last.tokens.upperBound == tokens.lowerBound
            {
                additions[additions.count - 1].tokens = last.tokens.lowerBound..<tokens.upperBound
            } else {
                additions.append(
                    Activations.Addition(tokens: tokens, part: linear.part, bias: linear.bias))
            }
        }
    }

    /// The rows of a step by the matrix that they meet, in the order of first use.
    private func groups(of parts: [StepRows], by linear: (ModelWeights) -> Linear?) -> [Group] {
        var groups: [Group] = []
        for part in parts {
            guard let linear = linear(part.weights) else { continue }
            let index = groups.firstIndex { $0.matrix === linear.matrix } ?? groups.count
            if index == groups.count { groups.append(Group(matrix: linear.matrix)) }
            groups[index].add(part.rows, by: linear)
        }
        return groups
    }

    /// Some of the rows: gathered, multiplied, and put back in their places.
    private mutating func multiply(_ input: Activations, by group: Group, into target: Target) throws {
        let (matrix, rows) = (group.matrix, group.rows)
        let gathered =
            try inputs[input.columns]
            ?? Activations(capacity: capacity, columns: input.columns, secondTerms: secondTerms)
        inputs[input.columns] = gathered
        // One for all: adapters may have heads of many sizes.
        let results =
            if let results, results.columns >= matrix.rows { results } else {
                try Rows(capacity, matrix.rows)
            }
        self.results = results
        compute.parallel(rows.count) { index in
            gathered.row(index).update(from: input.row(rows[index]), count: input.columns)
        }
        gathered.refill(tokens: rows.count)
        try gathered.multiply(
            [
                Activations.Product(
                    by: matrix, into: results.floats, stride: results.stride, additions: group.additions)
            ], on: compute)
        compute.parallel(rows.count) { index in
            target.row(rows[index]).update(from: results.row(index), count: matrix.rows)
        }
    }
}
