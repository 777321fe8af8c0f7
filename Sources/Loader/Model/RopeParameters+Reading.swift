import DoraText
import Glibc

/// The rotary embeddings of a configuration in both spellings: `rope_theta` beside `rope_scaling` (transformers 4), and
/// all in `rope_parameters` (5), there also by type of layer. `rope_scaling` wins.
struct RopeReader {
    let config: JSONFields
    let family: ModelFamily.Rope
    let headSize: Int
    let maximumPositions: Int

    /// The object that holds the parameters; without one, an empty one.
    private func parameters() throws(LoadError) -> JSONFields {
        let isOld = config["rope_scaling"].map { !$0.isFalsy } ?? false
        let key = isOld || config["rope_parameters"] == nil ? "rope_scaling" : "rope_parameters"
        return try config.fields(key) ?? JSONFields(JSONObject(), file: config.file, prefix: key + ".")
    }

    /// One table, or two where sliding layers have their own: `[full, sliding]`.
    func tables() throws(LoadError) -> [RopeParameters] {
        let parameters = try parameters()
        guard case .byType(let key, let absent) = family.layers else {
            if parameters.object.members.isEmpty, let table = family.absent { return [table] }
            return [try table(parameters, theta: try config.positiveDouble("rope_theta") ?? family.theta)]
        }
        let full = try parameters.fields("full_attention")
        let sliding = try parameters.fields("sliding_attention")
        let slidingTheta = try key.flatMap { key throws(LoadError) in try config.positiveDouble(key) }
        let none = JSONFields(JSONObject(), file: config.file)
        // transformers 4 reads either key here, 5 only the newer: what they make of the file differs.
        if parameters["type"] != nil && parameters["rope_type"] == nil {
            throw parameters.missing("rope_type")
        }
        // The library looks for this one beside the types of layers, never in them.
        let isFlat = full == nil && sliding == nil
        let isTruncated = try isFlat ? true : parameters.bool("truncate") ?? true
        return [
            try table(
                full ?? (isFlat ? parameters : none),
                theta: try config.positiveDouble("rope_theta") ?? family.theta, isTruncated: isTruncated),
            try table(sliding ?? none, theta: slidingTheta ?? absent, isTruncated: isTruncated),
        ]
    }

    /// How queries grow, in families where they do.
    func queryGrowth() throws(LoadError) -> QueryGrowth? {
        guard let key = family.queryGrowthKey else { return nil }
        let parameters = try parameters()
        if parameters.object.members.isEmpty { return family.queryGrowth }
        guard let beta = try parameters.double(key) else { throw parameters.missing(key) }
        return QueryGrowth(beta: beta, positions: try originalPositions(parameters))
    }

    /// - Parameter isTruncated: nil for what `nested` says.
    private func table(
        _ nested: JSONFields, theta absent: Double, isTruncated: Bool? = nil
    ) throws(LoadError) -> RopeParameters {
        let fraction = try fraction(nested)
        let theta = try nested.positiveDouble("rope_theta") ?? absent
        let typeKey = nested["rope_type"] == nil ? "type" : "rope_type"
        let name = try nested.string(typeKey) ?? "default"
        let type = family.aliases[name] ?? name
        let scaling: RopeParameters.Scaling
        switch type {
        case "default": scaling = .none
        case "linear": scaling = .linear(factor: try required("factor", nested))
        case "dynamic":
            let factor = try required("factor", nested)
            if let key = family.alphaKey, let alpha = try nested.positiveDouble(key) {
                scaling = .fixed(alpha: alpha)
            } else {
                scaling = .dynamic(factor: factor, positions: maximumPositions)
            }
        case "llama3": scaling = .llama3(try llama3(nested))
        case "yarn": scaling = .yarn(try yarn(nested, isTruncated: isTruncated))
        case "longrope":
            scaling = .longrope(try longrope(nested, pairs: Int(Double(headSize) * fraction) / 2))
        default:
            throw nested.unsupported(
                typeKey, "rope type \"\(name)\" is not supported",
                advice: "use a model of type default, linear, dynamic, llama3, yarn or longrope")
        }
        return RopeParameters(theta: theta, scaling: scaling, fraction: fraction)
    }

    /// Of the head; some families rotate only a part.
    private func fraction(_ nested: JSONFields) throws(LoadError) -> Double {
        let key = "partial_rotary_factor"
        let fields = nested[key] == nil ? config : nested
        let given = try fields.positiveDouble(key)
        guard let absent = family.fraction else {
            guard given ?? 1 == 1 else {
                throw fields.unsupported(
                    key, "only heads that are rotated whole are supported, found \(given ?? 1)",
                    advice: "use a model without it")
            }
            return 1
        }
        let fraction = given ?? absent
        let dimensions = fraction <= 1 ? Int(Double(headSize) * fraction) : 0
        guard dimensions >= 2, dimensions.isMultiple(of: 2) else {
            throw fields.unsupported(
                key,
                "an even number of a head's \(headSize) dimensions must be rotated, found \(fraction) of them",
                advice: "use another model")
        }
        return fraction
    }

    private func llama3(_ nested: JSONFields) throws(LoadError) -> RopeParameters.Llama3Scaling {
        let positions = try originalPositions(nested)
        let low = try required("low_freq_factor", nested)
        let high = try required("high_freq_factor", nested)
        guard high > low else {
            throw LoadError(
                .malformed, file: nested.file, field: nested.path("high_freq_factor"),
                expected: "more than low_freq_factor (\(low))", found: "\(high)")
        }
        return RopeParameters.Llama3Scaling(
            factor: try required("factor", nested), lowFrequencyFactor: low, highFrequencyFactor: high,
            originalPositions: positions)
    }

    private func yarn(
        _ nested: JSONFields, isTruncated: Bool?
    ) throws(LoadError) -> RopeParameters.YarnScaling {
        let positions = try originalPositions(nested)
        // Null: what the contexts say. The library wants the key all the same.
        guard nested.object["factor"] != nil else { throw nested.missing("factor") }
        let factor = try nested.positiveDouble("factor") ?? Double(maximumPositions) / Double(positions)
        func magnitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }
        let one = try nested.double("mscale") ?? 0
        let all = try nested.double("mscale_all_dim") ?? 0
        let attention = one != 0 && all != 0 ? magnitude(one) / magnitude(all) : magnitude(1)
        var isTruncated = isTruncated
        if isTruncated == nil { isTruncated = try nested.bool("truncate") }
        return RopeParameters.YarnScaling(
            factor: factor, attentionFactor: try nested.positiveDouble("attention_factor") ?? attention,
            fast: try nested.positiveDouble("beta_fast") ?? 32,
            slow: try nested.positiveDouble("beta_slow") ?? 1,
            isTruncated: isTruncated ?? true, originalPositions: positions)
    }

    private func longrope(
        _ nested: JSONFields, pairs: Int
    ) throws(LoadError) -> RopeParameters.LongropeScaling {
        let positions = try originalPositions(nested)
        let factor = try nested.positiveDouble("factor") ?? Double(maximumPositions) / Double(positions)
        let attention = factor <= 1 ? 1 : (1 + log(factor) / log(Double(positions))).squareRoot()
        return RopeParameters.LongropeScaling(
            short: try factors("short_factor", pairs, nested),
            long: try factors("long_factor", pairs, nested),
            attentionFactor: try nested.positiveDouble("attention_factor") ?? attention,
            originalPositions: positions)
    }

    private func factors(_ key: String, _ count: Int, _ nested: JSONFields) throws(LoadError) -> [Double] {
        guard let value = nested[key] else { throw nested.missing(key) }
        let numbers = value.array?.compactMap { $0.double } ?? []
        guard numbers.count == count, value.array?.count == count,
            numbers.allSatisfy({ $0.isFinite && $0 > 0 })
        else { throw nested.mismatch(key, expected: "\(count) numbers above 0", value) }
        return numbers
    }

    /// In a configuration that has it beside the parameters, that one counts.
    private func originalPositions(_ nested: JSONFields) throws(LoadError) -> Int {
        let key = "original_max_position_embeddings"
        let limits = 1...ModelConfiguration.Limit.positions
        let inner = try nested.int(key, in: limits)
        let outer = try config.int(key, in: limits)
        return outer ?? family.originalPositions ?? inner ?? maximumPositions
    }

    private func required(_ key: String, _ fields: JSONFields) throws(LoadError) -> Double {
        guard let value = try fields.positiveDouble(key) else { throw fields.missing(key) }
        return value
    }
}
