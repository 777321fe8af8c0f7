/// `translate` and the tables for it.
extension Renderer {
    /// Each character becomes what a dictionary has under its code point: a code point, a text, or nothing.
    func translate(_ text: String, _ arguments: CallArguments) throws -> String {
        guard case .dict(let table) = try arguments.positionalOnly(1...1, "translate")[0] else {
            throw Failure.type("translate() argument must be a dict")
        }
        var result = ""
        for scalar in text.unicodeScalars {
            guard let key = DictKey(.int(Int(scalar.value))), let target = table[key] else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if target.isNone { continue }
            if let text = target.text {
                try budget.charge(bytes: text.utf8.count)
                result += text
            } else if let code = target.clampedInt, let scalar = Unicode.Scalar(UInt32(clamping: code)) {
                result.unicodeScalars.append(scalar)
            } else {
                throw Failure.type("character mapping must return integer, None or str")
            }
        }
        return result
    }

    /// A table of two texts of one length, with a third of what is to go; or of a dictionary.
    func translationTable(_ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.positionalOnly(1...3, "maketrans")
        var table = TemplateDict.Builder()
        guard values.count > 1 else {
            guard case .dict(let dict) = values[0] else {
                throw Failure.type("if you give only one argument to maketrans it must be a dict")
            }
            for (key, value) in zip(dict.keys, dict.values) {
                if let text = key.text {
                    guard let scalar = text.unicodeScalars.first, text.unicodeScalars.count == 1 else {
                        throw Failure.type("string keys in translate table must be of length 1")
                    }
                    try table.set(.int(Int(scalar.value)), value)
                } else {
                    try table.set(key, value)
                }
            }
            return try budget.admit(.dict(table.dict))
        }
        let texts = try values.map { value in
            guard let text = value.text else { throw Failure.type("maketrans() arguments must be str") }
            return Array(text.unicodeScalars)
        }
        guard texts[0].count == texts[1].count else {
            throw Failure.type("the first two maketrans arguments must have equal length")
        }
        for (from, to) in zip(texts[0], texts[1]) {
            try table.set(.int(Int(from.value)), .int(Int(to.value)))
        }
        for scalar in texts.dropFirst(2).joined() { try table.set(.int(Int(scalar.value)), .none) }
        return try budget.admit(.dict(table.dict))
    }
}
