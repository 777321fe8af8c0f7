import DoraTensor
import DoraText

/// (IA)³ (arXiv 2205.05638; PEFT `peft/tuners/ia3/layer.py`): one factor for each output of a module, its bias included,
/// or, for a feedforward module, for each input.
struct IA3: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "IA3", title: "(IA)³", read: ["feedforward_modules"],
        // PEFT itself sets fan_in_fan_out aside for the linear layers of a Llama.
        harmless: ["init_ia3_weights", "fan_in_fan_out"],
        defaultTargets: ["k_proj", "v_proj", "down_proj"], parameters: ["ia3_l"])

    private enum Feedforward {
        case endings([String])
        case pattern(ModulePattern)
    }

    private let feedforward: Feedforward

    init(_ fields: JSONFields) throws(LoadError) {
        let key = "feedforward_modules"
        guard let value = fields[key] else {
            feedforward = .endings(["down_proj"])
            return
        }
        guard let pattern = value.string else {
            feedforward = .endings(try fields.strings(key) ?? [])
            return
        }
        do {
            feedforward = .pattern(try ModulePattern(pattern))
        } catch {
            throw LoadError(
                .malformed, file: fields.file, field: key,
                "\(value) is no usable regular expression: \(error.problem)", advice: "simplify the pattern")
        }
    }

    /// As PEFT asks: by the end of the name, without a dot before it.
    private func isFeedforward(_ module: String) -> Bool {
        switch feedforward {
        case .endings(let names): names.contains { module.hasSuffix($0) }
        case .pattern(let pattern): pattern.matchesWhole(module)
        }
    }

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        try assembly.requireLinear(module, Self.vocabulary.title)
        let scalesInputs = isFeedforward(module.name)
        let factors = try assembly.parameter(
            "ia3_l", of: module, shape: scalesInputs ? [1, module.inputs] : [module.outputs, 1])
        return IA3Update(factors: factors, scalesInputs: scalesInputs)
    }
}

/// W'[o, i] = l[o] V[o, i], or l[i] V[o, i].
struct IA3Update: WeightUpdate, Equatable {
    /// `[inputs]` or `[outputs]`
    let factors: [Float]
    let scalesInputs: Bool

    var label: String { "(IA)³ of \(scalesInputs ? "inputs" : "outputs")" }
    var addsNothing: Bool { factors.allSatisfy { $0 == 1 } }
    var byteCount: Int { factors.count * MemoryLayout<Float>.size }

    func bias(_ bias: [Float]?) -> [Float]? {
        scalesInputs ? bias : bias.map { zip($0, factors).map { $0 * $1 } }
    }

    func rows(columns: Int, on compute: Compute) -> any RowMerge { Rows(update: self, columns: columns) }

    private struct Rows: RowMerge {
        let update: IA3Update
        let columns: Int

        func change(
            tile: Int, of before: ExactTile, into target: TileRows, on compute: Compute
        ) -> RowFactors {
            var result = RowFactors()
            before.withFloats(on: compute) { values in
                if update.scalesInputs {
                    target.write { _, column, index in values[index] * update.factors[column] }
                } else {
                    target.write { _, _, index in values[index] }
                }
            }
            for (offset, row) in TileRows.rows(of: tile).enumerated()
            where !update.scalesInputs && row < update.factors.count {
                result.factors[offset] = update.factors[row]
            }
            return result
        }
    }
}
