import DoraText

/// A `tokenizer.model` of SentencePiece's BPE, made of a GGUF file's tokens, scores and kinds.
///
/// Source: `sentencepiece_model.proto`.
struct PieceFile {
    private let vocabulary: GGUFVocabulary

    init(_ vocabulary: GGUFVocabulary) { self.vocabulary = vocabulary }

    func bytes() throws(LoadError) -> [UInt8] {
        let scores = try vocabulary.scores()
        // Some files do not mark the token that stands for what is unknown.
        let unknown = vocabulary.kinds.contains(.unknown) ? nil : try vocabulary.id("unknown")
        var model = ProtobufWriter()
        for (id, token) in vocabulary.tokens.enumerated() {
            var piece = ProtobufWriter()
            piece.write(token, field: 1)
            piece.write(scores[id], field: 2)
            let kind = id == unknown ? .unknown : vocabulary.kinds[id]
            piece.write(kind == .undefined ? GGUFVocabulary.Kind.normal.rawValue : kind.rawValue, field: 3)
            model.write(piece.bytes, field: 1)
        }
        var trainer = ProtobufWriter()
        trainer.write(2, field: 3)  // BPE
        trainer.write(vocabulary.tokens.count, field: 4)
        trainer.write(vocabulary.kinds.contains(.byte) ? 1 : 0, field: 35)
        model.write(trainer.bytes, field: 2)
        var normalizer = ProtobufWriter()
        normalizer.write(Array("identity".utf8), field: 1)
        for field in [3, 4] { normalizer.write(0, field: field) }
        normalizer.write(1, field: 5)
        model.write(normalizer.bytes, field: 3)
        return model.bytes
    }
}

/// Writes the fields of a protocol buffer.
private struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ value: Int, field: Int) {
        varint(UInt64(field << 3))
        varint(UInt64(value))
    }

    mutating func write(_ value: Float, field: Int) {
        varint(UInt64(field << 3 | 5))
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    mutating func write(_ value: [UInt8], field: Int) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(value.count))
        bytes += value
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
