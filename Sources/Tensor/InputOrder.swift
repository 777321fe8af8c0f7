/// The order in which a matrix holds its inputs, where that is not the model's: GPTQ with `desc_act` quantizes inputs that
/// matter most together, and stored side by side they share scales as neighbours do.
package struct InputOrder: Sendable, Equatable {
    /// Which input stands at each place of a row.
    package let inputs: [Int32]

    /// - Returns: nil unless each input has one place.
    package init?(_ inputs: [Int32]) {
        var isPlaced = [Bool](repeating: false, count: inputs.count)
        for input in inputs {
            guard let index = Int(exactly: input), isPlaced.indices.contains(index), !isPlaced[index] else {
                return nil
            }
            isPlaced[index] = true
        }
        self.inputs = inputs
    }

    /// Puts a row in this order.
    package func arrange(_ row: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<UInt8>) {
        for (place, input) in inputs.enumerated() { out[place] = row[Int(input)] }
    }

    func arrange(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
        for (place, input) in inputs.enumerated() { out[place] = row[Int(input)] }
    }

    /// Puts `count` rows back in the model's order.
    func restore(_ rows: UnsafeMutablePointer<Float>, count: Int) {
        let columns = inputs.count
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { memory in
            guard let arranged = memory.baseAddress else { return }
            for row in 0..<count {
                let target = rows + row * columns
                arranged.update(from: target, count: columns)
                for (place, input) in inputs.enumerated() { target[Int(input)] = arranged[place] }
            }
        }
    }
}
