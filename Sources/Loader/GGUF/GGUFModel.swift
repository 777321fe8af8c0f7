package import DoraText

/// A base model in a GGUF file, or in the parts of one, seen as the Hugging Face folder that it was converted from: small
/// files with transformers' names and keys, and tensors with transformers' names, row order and norms.
package struct GGUFModel: Sendable {
    /// As the user named it.
    package let path: String
    let architecture: GGUFArchitecture
    /// The first holds the metadata.
    private let parts: [GGUFFile]
    /// Names in transformers and in the files, and in which part.
    private let places: [String: (name: String, part: Int)]
    /// transformers' names, in the order of the files.
    let tensorNames: [String]

    /// Maps the file and the other parts, and checks their headers.
    package init(path: String) throws(LoadError) {
        try self.init(try GGUFSplit.parts(of: path), path: path)
    }

    /// A file's bytes in memory; `path` only names it in errors.
    package init(bytes: [UInt8], path: String) throws(LoadError) {
        try self.init([try GGUFFile(bytes: bytes, path: path)], path: path)
    }

    private init(_ parts: [GGUFFile], path: String) throws(LoadError) {
        self.path = path
        self.parts = parts
        let key = "general.architecture"
        guard let name = try parts[0].string(key) else { throw parts[0].missing(key) }
        let architecture = try GGUFArchitecture.named(name, file: path)
        self.architecture = architecture
        var places: [String: (name: String, part: Int)] = [:]
        var names: [String] = []
        for (index, part) in parts.enumerated() {
            for name in part.tensorNames where !GGUFArchitecture.configurationTensors.contains(name) {
                let newName = architecture.transformersName(of: name)
                guard places.updateValue((name, index), forKey: newName) == nil else {
                    throw LoadError(
                        .malformed, file: part.path, field: name,
                        "another part or tensor stands for \(newName), too",
                        advice: "remove parts of another model, or convert the model again")
                }
                names.append(newName)
            }
        }
        self.places = places
        tensorNames = names
    }

    /// The part with the metadata.
    var head: GGUFFile { parts[0] }

    /// Of a tensor under its name in the files.
    func shape(of name: String) -> [Int]? { parts.lazy.compactMap { $0.shape(of: name) }.first }

    /// The numbers of a small tensor under its name in the files.
    func floats(_ name: String) throws(LoadError) -> [Float]? {
        for part in parts {
            guard let format = part.format(of: name), format.elementType != nil,
                let view = try part.view(of: name, as: name)
            else { continue }
            let values = try view.floats()
            guard values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
                throw LoadError(
                    .malformed, file: part.path, field: name, expected: "numbers above 0", found: "others",
                    advice: "convert the model again")
            }
            return values
        }
        return nil
    }
}

/// The small files.
extension GGUFModel {
    /// - Returns: nil for a file that such a model does not have.
    func bytes(of name: String) throws(LoadError) -> [UInt8]? {
        switch name {
        case "config.json": Array(try GGUFConfiguration(self).config().text.utf8)
        case "generation_config.json": Array(try GGUFConfiguration(self).generation().text.utf8)
        case "tokenizer_config.json": try GGUFTokenizer(head)?.configuration()
        case "tokenizer.json": try GGUFTokenizer(head)?.pipeline()
        case "tokenizer.model": try GGUFTokenizer(head)?.pieces()
        default: nil
        }
    }
}

/// The tensors, under transformers' names.
extension GGUFModel {
    func contains(_ name: String) -> Bool { places[name] != nil }

    /// A tensor of floats. Norms and vectors are as transformers has them; of a matrix the rows are as stored, and
    /// `rowOrder` says which is which.
    func tensor(_ name: String) throws(LoadError) -> TensorView? {
        guard let place = places[name], parts[place.part].format(of: place.name)?.elementType != nil,
            let view = try parts[place.part].view(of: place.name, as: name)
        else { return nil }
        if view.shape.count > 1 { return view }
        let order = try rowOrder(of: name)
        if order != .asStored, view.count.isMultiple(of: headSize(order)) {
            return try TensorView(
                name: name, file: view.file, elementType: view.elementType, shape: view.shape,
                bytes: view.withBytes { order.reordered($0, rows: view.count) })
        }
        guard architecture.normShift != 0, place.name.hasSuffix("norm.weight") else { return view }
        return try TensorView(
            name: name, file: view.file, shape: view.shape,
            floats: try view.floats().map { $0 - architecture.normShift })
    }

    /// A matrix in blocks; nil if it is one of floats or not there.
    func blocks(_ name: String) throws(LoadError) -> StoredBlocks? {
        guard let place = places[name], let format = parts[place.part].format(of: place.name),
            format.elementType == nil, let view = try parts[place.part].view(of: place.name, as: name)
        else { return nil }
        return StoredBlocks(tensor: view, format: format, order: try rowOrder(of: name))
    }

    /// - Throws: `LoadError` where rows are interleaved and the heads do not divide them.
    func rowOrder(of name: String) throws(LoadError) -> RowOrder {
        guard architecture.isInterleaved, let place = places[name] else { return .asStored }
        let parts = place.name.split(separator: ".")
        guard parts.count == 4, parts[2] == "attn_q" || parts[2] == "attn_k",
            let rows = shape(of: place.name)?.first
        else { return .asStored }
        let heads = try heads(ofKeys: parts[2] == "attn_k")
        guard heads > 0, rows.isMultiple(of: 2 * heads) else {
            throw LoadError(
                .malformed, file: path, field: place.name, expected: "rows for \(heads) heads",
                found: "\(rows)",
                advice: "convert the model again")
        }
        return .interleaved(headSize: rows / heads)
    }

    private func heads(ofKeys: Bool) throws(LoadError) -> Int {
        let key = "\(architecture.name).attention.head_count"
        let all = try head.integer(key)
        guard let count = ofKeys ? try head.integer(key + "_kv") ?? all : all else { throw head.missing(key) }
        return count
    }

    private func headSize(_ order: RowOrder) -> Int {
        if case .interleaved(let size) = order { size } else { 1 }
    }
}
