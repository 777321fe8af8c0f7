import DoraLoader
import DoraTensor

/// Multiplies the rows of a step by the matrices that their sequences use.
///
/// Rows are grouped by matrix, and two matrices are the same only if they are one object: what the adapters of a step
/// left alone is read once for all of them, and only what they replaced runs apart. A row's result does not depend on
/// its group.
struct BatchProduct {
    /// Most rows of a step.
    let capacity: Int
    let compute: Compute
    private var inputs: [Int: Activations] = [:]
    private var outputs: [Int: Rows] = [:]

    init(capacity: Int, on compute: Compute) {
        self.capacity = capacity
        self.compute = compute
    }

    /// `out[row] = input[row] x matrix^T + bias`, each part of `parts` by its own `linear`.
    mutating func multiply(
        _ input: Activations, parts: [StepRows], into out: UnsafeMutablePointer<Float>, stride: Int,
        by linear: (ModelWeights) -> Linear
    ) throws {
        var groups: [(matrix: PackedMatrix, rows: [Range<Int>])] = []
        for part in parts {
            let matrix = linear(part.weights).matrix
            if let index = groups.firstIndex(where: { $0.matrix === matrix }) {
                groups[index].rows.append(part.rows)
            } else {
                groups.append((matrix, [part.rows]))
            }
        }
        if groups.count == 1 {
            input.multiply(groups[0].matrix, into: out, stride: stride, on: compute)
        } else {
            for (matrix, rows) in groups {
                try multiply(input, rows: rows.flatMap { Array($0) }, by: matrix, into: out, stride: stride)
            }
        }
        for part in parts {
            guard let bias = linear(part.weights).bias else { continue }
            for row in part.rows { compute.add(bias, to: out + row * stride, count: bias.count) }
        }
    }

    /// Some of the rows: gathered, multiplied, and put back in their places.
    private mutating func multiply(
        _ input: Activations, rows: [Int], by matrix: PackedMatrix, into out: UnsafeMutablePointer<Float>,
        stride: Int
    ) throws {
        let gathered = try inputs[input.columns] ?? Activations(capacity: capacity, columns: input.columns)
        inputs[input.columns] = gathered
        let results = try outputs[matrix.rows] ?? Rows(capacity, matrix.rows)
        outputs[matrix.rows] = results
        compute.parallel(rows.count) { index in
            gathered.row(index).update(from: input.row(rows[index]), count: input.columns)
        }
        gathered.refill(tokens: rows.count)
        gathered.multiply(matrix, into: results.floats, stride: results.columns, on: compute)
        compute.parallel(rows.count) { index in
            (out + rows[index] * stride).update(from: results.row(index), count: matrix.rows)
        }
    }
}
