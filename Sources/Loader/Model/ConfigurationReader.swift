import DoraTensor
import DoraText

/// Turns the keys of a configuration into numbers, as its family says. Absent, null and present are three things: an
/// absent key has the family's value, a null one none.
struct ConfigurationReader {
    let fields: JSONFields
    let family: ModelFamily

    private typealias Limit = ModelConfiguration.Limit

    private func isAbsent(_ key: String) -> Bool { fields.object[key] == nil }

    private func bool(_ flag: ModelFamily.Flag) throws(LoadError) -> Bool {
        switch flag {
        case .always(let value): value
        case .key(let key, let absent): try fields.bool(key) ?? (isAbsent(key) && absent)
        }
    }

    private func number(_ number: ModelFamily.Number?) throws(LoadError) -> Double? {
        switch number {
        case nil: nil
        case .constant(let value): value
        case .key(let key, let absent): isAbsent(key) ? absent : try fields.positiveDouble(key)
        }
    }

    /// A factor; nil where it is one.
    private func factor(_ number: ModelFamily.Number?) throws(LoadError) -> Float? {
        let value = try self.number(number) ?? 1
        return value == 1 ? nil : Float(value)
    }

    func keyValueHeads(attentionHeads: Int) throws(LoadError) -> Int {
        let key = "num_key_value_heads"
        let absent = isAbsent(key) ? family.heads.keyValue : nil
        let heads = try fields.int(key, in: 1...Limit.heads) ?? absent ?? attentionHeads
        guard attentionHeads % heads == 0 else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path(key),
                expected: "a divisor of num_attention_heads (\(attentionHeads))", found: "\(heads)")
        }
        return heads
    }

    func headSize(hiddenSize: Int, attentionHeads: Int) throws(LoadError) -> Int {
        let key = "head_dim"
        var given = try fields.int(key, in: 1...Limit.headSize)
        switch family.heads.size {
        case .key(let absent): if isAbsent(key) { given = absent }
        case .derived:
            guard given == nil || given.map({ $0 * attentionHeads }) == hiddenSize else {
                throw LoadError(
                    .malformed, file: fields.file, field: fields.path(key),
                    expected: "hidden_size / num_attention_heads, as every \(family.type) has it",
                    found: "\(given ?? 0)")
            }
        }
        if given == nil && hiddenSize % attentionHeads != 0 {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("hidden_size"),
                expected: "a multiple of num_attention_heads (\(attentionHeads)), as head_dim is not given",
                found: "\(hiddenSize)")
        }
        let size = given ?? hiddenSize / attentionHeads
        guard size >= 8 && size.isMultiple(of: 2) && size <= KeyValueGeometry.largestHeadSize else {
            throw fields.unsupported(
                key,
                "heads must have an even size from 8 to \(KeyValueGeometry.largestHeadSize), found \(size)",
                advice: "use another model")
        }
        return size
    }

    func norm() throws(LoadError) -> NormConfiguration {
        NormConfiguration(kind: family.norms.kind, epsilon: Float(try number(family.norms.epsilon) ?? 1e-6))
    }

    func queryKeyNorm() throws(LoadError) -> QueryKeyNormConfiguration? {
        guard let norm = family.queryKeyNorm, try bool(norm.flag) else { return nil }
        return QueryKeyNormConfiguration(
            isWhole: norm.shape == .whole,
            isDistinct: norm.shape == .perHeadDistinct || norm.shape == .perHeadModules,
            isAfterRope: norm.isAfterRope)
    }

    func isParallel() throws(LoadError) -> Bool {
        switch family.residual {
        case .sequential: false
        case .parallel(let flag): try bool(flag)
        }
    }

    func biases() throws(LoadError) -> BiasConfiguration {
        BiasConfiguration(
            input: try bool(family.biases.input), output: try bool(family.biases.output),
            feedForward: try bool(family.biases.feedForward), head: try bool(family.biases.head))
    }

    func activation() throws(LoadError) -> Activation {
        let key = family.activation.key
        guard let name = try fields.string(key) else { return family.activation.absent }
        if let reading = family.activation.readings[name] { return reading }
        switch name {
        case "silu", "swish": return .silu
        case "gelu": return .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
        case "relu2": return .reluSquared
        default:
            throw fields.unsupported(
                key, "activation \"\(name)\" is not supported",
                advice: "use a model with silu, gelu, gelu_pytorch_tanh or relu2")
        }
    }

    /// - Parameter capsLogits: whether the model around it applies the cap of logits.
    func scales(hiddenSize: Int, capsLogits: Bool) throws(LoadError) -> ScaleConfiguration {
        let scales = family.scales
        let embedding: Float? =
            switch scales.embedding {
            case .none: nil
            case .rootOfHiddenSize: Float(Double(hiddenSize).squareRoot())
            case .times(let number): try factor(number)
            }
        let logits: Float? =
            switch scales.logits {
            case .none: nil
            case .times(let number): try factor(number)
            case .over(let number): try factor(number).map { 1 / $0 }
            }
        return ScaleConfiguration(
            embedding: embedding, residual: try factor(scales.residual), logits: logits,
            finalCap: capsLogits ? try number(scales.finalCap).map { Float($0) } : nil,
            clip: try number(scales.clip).map { Float($0) })
    }

    /// `torch_dtype` in transformers 4, `dtype` in 5.
    func elementType(in fields: JSONFields) throws(LoadError) -> ElementType? {
        let key = fields["dtype"] == nil ? "torch_dtype" : "dtype"
        switch try fields.string(key) {
        case nil, "auto": return nil
        case "float32", "torch.float32": return .f32
        case "float16", "torch.float16": return .f16
        case "bfloat16", "torch.bfloat16": return .bf16
        case "float64", "torch.float64": return .f64
        case .some(let name):
            throw fields.unsupported(
                key, "\"\(name)\" is not a supported type", advice: "use float32, float16 or bfloat16")
        }
    }
}

// Layers.
extension ConfigurationReader {
    func layers(count: Int, headSize: Int) throws(LoadError) -> [LayerConfiguration] {
        let scale = try attentionScale(headSize: headSize)
        let cap = try number(family.scales.attentionCap).map { Float($0) }
        let rotated = try rotatedLayers(count)
        let window = try window()
        let slides = try slidingLayers(count, rotated: rotated, window: window)
        return (0..<count).map { layer in
            let rope: Int? =
                switch family.rope.layers {
                case .all: 0
                case .byType: slides[layer] ? 1 : 0
                case .sliding(let elseAll): (window == nil ? elseAll : slides[layer]) ? 0 : nil
                case .listed: rotated[layer] ? 0 : nil
                }
            return LayerConfiguration(
                attention: AttentionScores(scale: scale, window: slides[layer] ? window : nil, cap: cap),
                rope: rope)
        }
    }

    private func attentionScale(headSize: Int) throws(LoadError) -> Float {
        switch family.scales.attention {
        case .headSize: 1 / Float(headSize).squareRoot()
        case .inverseRoot(let number): Float(1 / (try self.number(number) ?? Double(headSize)).squareRoot())
        case .times(let number): Float(try self.number(number) ?? 1)
        }
    }

    /// Keys that a sliding layer sees; nil for a model without windows.
    private func window() throws(LoadError) -> Int? {
        guard let key = family.windows.key else { return nil }
        let given = try fields.int(key, in: 1...Limit.positions)
        guard try bool(family.windows.flag) else { return nil }
        return isAbsent(key) ? family.windows.absent : given
    }

    private func rotatedLayers(_ count: Int) throws(LoadError) -> [Bool] {
        guard case .listed(let key, let intervalKey, let absent) = family.rope.layers else {
            return [Bool](repeating: true, count: count)
        }
        guard let list = try fields.ints(key, in: 0...1) else {
            let interval = try fields.int(intervalKey, in: 1...Limit.layers) ?? absent
            return (0..<count).map { ($0 + 1) % interval != 0 }
        }
        guard list.count >= count else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path(key), expected: "\(count) numbers",
                found: "\(list.count)")
        }
        return list.prefix(count).map { $0 != 0 }
    }

    private func slidingLayers(
        _ count: Int, rotated: [Bool], window: Int?
    ) throws(LoadError) -> [Bool] {
        let windows = family.windows
        if windows.readsTypes, let types = try layerTypes(count) {
            guard let key = windows.key, window == nil, types.contains(true) else { return types }
            throw LoadError(
                .malformed, file: fields.file, field: fields.path(key),
                expected: "a window, as layer_types names layers that slide", found: "none")
        }
        switch windows.pattern {
        case .all: return [Bool](repeating: windows.key != nil, count: count)
        case .allBut(let absent, let key):
            let given = try key.flatMap { key throws(LoadError) in try fields.int(key, in: 0...Limit.layers) }
            // Zero: no layer slides.
            let every = given ?? absent
            return (0..<count).map { every > 0 && ($0 + 1) % every != 0 }
        case .from(let key, let absent):
            let first = try fields.int(key, in: 0...Limit.layers) ?? absent
            return (0..<count).map { $0 >= first }
        case .unrotated: return rotated.map { !$0 }
        }
    }

    /// `layer_types`: whether each slides.
    private func layerTypes(_ count: Int) throws(LoadError) -> [Bool]? {
        let key = "layer_types"
        guard let types = try fields.strings(key) else { return nil }
        guard types.count == count else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path(key), expected: "\(count) types",
                found: "\(types.count)")
        }
        for type in types where type != "full_attention" && type != "sliding_attention" {
            throw fields.unsupported(
                key, "layers of type \"\(type)\" are not supported",
                advice: "use a model of full_attention and sliding_attention")
        }
        return types.map { $0 == "sliding_attention" }
    }
}
