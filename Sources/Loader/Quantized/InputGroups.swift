import DoraTensor

/// Which inputs of a row share a scale.
enum InputGroups: Sendable {
    /// As many neighbours; the last of a row may be fewer.
    case neighbours(Int)
    /// The group of each input: GPTQ's `g_idx`, where inputs were quantized in the order of their activations.
    case listed([Int32])

    /// How many there are; nil where some of them are not below `limit`.
    func count(columns: Int, limit: Int) -> Int? {
        switch self {
        case .neighbours(let size): return size > 0 ? columns.roundedUp(to: size) / size : nil
        case .listed(let list):
            let isInRange = list.allSatisfy { $0 >= 0 && Int($0) < limit }
            return list.count == columns && isInRange ? limit : nil
        }
    }

    /// The same groups as neighbours: inputs in a group, and the order of the inputs that makes them so.
    /// - Returns: nil where the groups differ in size, but for a smaller one at the end.
    func asNeighbours() -> (size: Int, order: InputOrder?)? {
        switch self {
        case .neighbours(let size): return (size, nil)
        case .listed(let list):
            let order = list.indices.sorted { (list[$0], $0) < (list[$1], $1) }
            let size = list.count { $0 == 0 }
            guard size > 0, order.indices.allSatisfy({ Int(list[order[$0]]) == $0 / size }) else {
                return nil
            }
            return (size, InputOrder(order.map { Int32($0) }))
        }
    }
}
