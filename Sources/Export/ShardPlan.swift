import DoraText

/// Which tensor goes into which file: in their order, as many into each as it holds, and a tensor that is larger than
/// that into one of its own.
///
/// Source: huggingface_hub `serialization/_base.py` (`split_state_dict_into_shards_factory`), for names and index.
struct ShardPlan {
    /// Indices of the tensors of each file.
    let shards: [Range<Int>]
    /// Of all tensors, in bytes.
    private let byteCount: Int

    /// - Parameters:
    ///   - sizes: of the tensors, in bytes.
    ///   - limit: of a file.
    init(_ sizes: [Int], limit: Int) {
        var shards: [Range<Int>] = []
        var (first, sum) = (0, 0)
        for (index, size) in sizes.enumerated() {
            if index > first, sum + size > limit {
                shards.append(first..<index)
                (first, sum) = (index, 0)
            }
            sum += size
        }
        shards.append(first..<sizes.count)
        self.shards = shards
        byteCount = sizes.reduce(0, +)
    }

    func name(_ shard: Int) -> String {
        func digits(_ number: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, 5 - text.count)) + text
        }
        return shards.count == 1
            ? "model.safetensors"
            : "model-\(digits(shard + 1))-of-\(digits(shards.count)).safetensors"
    }

    static let indexName = "model.safetensors.index.json"

    /// `model.safetensors.index.json`; nil for a single file.
    func index(names: [String]) -> JSONValue? {
        guard shards.count > 1 else { return nil }
        var map = JSONObject()
        for (shard, indices) in shards.enumerated() {
            for index in indices { _ = map.append(names[index], .string(name(shard))) }
        }
        return .object(
            JSONObject([
                ("metadata", .object(JSONObject([("total_size", .integer(byteCount))]))),
                ("weight_map", .object(map)),
            ]))
    }
}
