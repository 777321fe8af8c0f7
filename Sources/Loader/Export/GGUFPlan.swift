import DoraTensor
package import DoraText

/// A model in llama.cpp's words: the architecture of its GGUF file, and of each tensor name, order of rows and norms. The inverse of
/// `GGUFModel`, by the same tables.
///
/// Source: llama.cpp `conversion/`.
package struct GGUFPlan {
    package let architecture: String
    /// All but the tokenizer's.
    package let metadata: [(key: String, value: GGUFMetadataValue)]
    /// Divisors of rotary frequencies, which files hold as tensors.
    package let divisors: [(name: String, values: [Float])]
    private let table: GGUFArchitecture
    private let model: MergedModel
    private let sharesHead: Bool

    /// - Throws: `LoadError` `.unsupported` for a model that no architecture in the tables stands for.
    package init(_ model: MergedModel, sharesHead: Bool) throws(LoadError) {
        let plain = try PlainConfiguration(
            model.files, vocabularySize: model.inventory.vocabularySize, sharesHead: sharesHead,
            elementType: .f32)
        let type = plain.configuration.modelType
        guard let table = GGUFArchitecture.all.first(where: { $0.modelTypes.contains(type) }) else {
            throw LoadError(
                .unsupported, file: model.files.path, field: "model_type",
                "models of type \"\(type)\" are not written as GGUF",
                advice: "use a model of one of "
                    + GGUFArchitecture.all.flatMap(\.modelTypes).sorted().joined(separator: ", "))
        }
        self.table = table
        self.model = model
        self.sharesHead = sharesHead
        architecture = table.name
        let rope = try GGUFRopeMetadata(plain.configuration, file: model.files.path)
        divisors = rope.divisors
        let own = GGUFNumbers(plain, table)
        metadata = (own.numbers + rope.metadata).map { ("\(table.name).\($0.key)", $0.value) }
    }

    /// What the file calls a tensor.
    package func name(of tensor: MergedModel.Tensor) throws(LoadError) -> String {
        if !tensor.isBias || table.takesBiases, let name = table.ggufName(of: tensor.name) { return name }
        throw LoadError(
            .unsupported, file: model.files.path, field: tensor.name,
            "files of architecture \"\(architecture)\" have no such tensor",
            advice: "export the model in the Hugging Face layout")
    }

    /// Where the file has a row of a matrix or a number of a vector.
    package func storedRow(of tensor: MergedModel.Tensor) -> (_ row: Int) -> Int {
        guard table.isInterleaved, case .projection(_, let projection) = tensor.module.place,
            projection == .query || projection == .key
        else { return { $0 } }
        let order = RowOrder.interleaved(headSize: model.configuration.headSize)
        return order.storedRow
    }

    /// Whether rows stand elsewhere.
    package func isReordered(_ tensor: MergedModel.Tensor) -> Bool { storedRow(of: tensor)(1) != 1 }

    /// What is added to each number.
    package func shift(of tensor: MergedModel.Tensor) -> Float {
        tensor.module.kind == .norm && !tensor.isBias ? table.normShift : 0
    }

    /// Reads a file's header back: it must mean the model that it was made of.
    /// - Parameter path: of a file with the metadata and all tensors listed.
    /// - Throws: `LoadError` `.unsupported` where GGUF cannot say something of the model.
    package func check(_ path: String) throws(LoadError) {
        var read = try ModelConfiguration(ModelFiles(path))
        var expected = model.configuration
        expected.family = read.family
        expected.isMultimodal = false
        expected.vocabularySize = model.inventory.vocabularySize
        expected.tiesWordEmbeddings = sharesHead
        expected.elementType = read.elementType
        expected.quantization = nil
        expected.bosID = read.bosID
        expected.eosIDs = read.eosIDs
        expected.ropes = expected.ropes.map(\.rounded)
        read.ropes = read.ropes.map(\.rounded)
        let modules = ModuleInventory(read).modules
        guard read == expected, modules == model.inventory.modules else {
            throw LoadError(
                .unsupported, file: model.files.path, field: "config.json",
                "files of architecture \"\(architecture)\" cannot say all of it: \(Self.difference(read, expected))",
                advice: "export the model in the Hugging Face layout")
        }
    }

    /// The first that differs, for people.
    private static func difference(_ read: ModelConfiguration, _ expected: ModelConfiguration) -> String {
        let (mine, theirs) = (Mirror(reflecting: read).children, Mirror(reflecting: expected).children)
        for (read, expected) in zip(mine, theirs) where "\(read.value)" != "\(expected.value)" {
            return read.label ?? "a number"
        }
        return "names or shapes of modules"
    }
}

extension RopeParameters {
    /// With numbers of 32 bits, as files have them.
    fileprivate var rounded: RopeParameters {
        func single(_ number: Double) -> Double { Double(Float(number)) }
        // A product in files, of which no more is sure.
        func attention(_ factor: Double) -> Double { (factor * 1e5).rounded() / 1e5 }
        let scaling: Scaling =
            switch scaling {
            case .linear(let factor): .linear(factor: single(factor))
            case .yarn(let yarn):
                .yarn(
                    YarnScaling(
                        factor: single(yarn.factor), attentionFactor: attention(yarn.attentionFactor),
                        fast: single(yarn.fast), slow: single(yarn.slow), isTruncated: yarn.isTruncated,
                        originalPositions: yarn.originalPositions))
            case .longrope(let longrope):
                .longrope(
                    LongropeScaling(
                        short: longrope.short.map(single), long: longrope.long.map(single),
                        attentionFactor: attention(longrope.attentionFactor),
                        originalPositions: longrope.originalPositions))
            case .none, .dynamic, .fixed, .llama3: scaling
            }
        return RopeParameters(theta: single(theta), scaling: scaling, fraction: fraction)
    }
}

extension GGUFArchitecture {
    /// The inverse of `transformersName`.
    func ggufName(of tensor: String) -> String? {
        let parts = tensor.split(separator: ".").map(String.init)
        guard let part = parts.last else { return nil }
        let module = parts.dropLast().joined(separator: ".")
        if let outer = Self.outerNames.first(where: { $0.value == module }) { return "\(outer.key).\(part)" }
        guard parts.count > 4, parts[0] == "model", parts[1] == "layers" else { return nil }
        let inner = parts[3..<parts.count - 1].joined(separator: ".")
        let own = names.first { $0.value == inner }
        guard
            let name = own ?? Self.llamaNames.first(where: { $0.value == inner && names[$0.key] == nil })
        else { return nil }
        return "blk.\(parts[2]).\(name.key).\(part)"
    }
}

/// A value of a GGUF file's metadata that is to be written.
package enum GGUFMetadataValue: Sendable {
    case integer(Int)
    case float(Float)
    case bool(Bool)
    case string([UInt8])
    case integers([Int])
    case floats([Float])
    case bools([Bool])
    case strings([[UInt8]])

    package static func text(_ string: String) -> GGUFMetadataValue { .string(Array(string.utf8)) }
}
