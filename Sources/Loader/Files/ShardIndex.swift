import DoraText

/// `model.safetensors.index.json`: which shard holds which tensor.
struct ShardIndex: Sendable {
    /// Tensor names in file order, each with its shard's file name.
    let placements: [(tensor: String, shard: String)]

    init(parsing bytes: [UInt8], file: String) throws(LoadError) {
        let document = try JSONFields(parsing: bytes, file: file)
        guard let map = try document.fields("weight_map") else { throw document.missing("weight_map") }
        var placements: [(tensor: String, shard: String)] = []
        for (tensor, value) in map.object.members {
            guard let shard = value.string else { throw map.mismatch(tensor, expected: "a file name", value) }
            // A name with a path in it could point anywhere on the disk.
            guard !shard.utf8.contains(UInt8(ascii: "/")), !shard.utf8.contains(0),
                shard.hasSuffix(".safetensors")
            else {
                throw LoadError(
                    .malformed, file: file, field: map.path(tensor),
                    expected: "the plain name of a .safetensors file", found: "\(value)",
                    advice: "put the shards beside the index")
            }
            placements.append((tensor, shard))
        }
        guard !placements.isEmpty else {
            throw LoadError(.malformed, file: file, field: "weight_map", "it lists no tensors")
        }
        self.placements = placements
    }

    /// The shards' names, each once, in the order of first mention.
    var shards: [String] {
        var seen: Set<String> = []
        return placements.map(\.shard).filter { seen.insert($0).inserted }
    }
}
