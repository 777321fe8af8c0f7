/// The pieces of a `tokenizer.model`, as they stand in the file.
///
/// Source: `sentencepiece_model.proto`.
package struct SentencePieceTable: Sendable {
    package struct Piece: Sendable {
        package fileprivate(set) var text: [UInt8] = []
        package fileprivate(set) var score: Float = 0
        /// By the number that the format has for it; 1 is a normal piece.
        package fileprivate(set) var kind = 1
    }

    package let file: String
    package private(set) var pieces: [Piece] = []
    /// Else Unigram, words or characters.
    package private(set) var isBPE = false
    package private(set) var addsDummyPrefix = true

    package init(_ serialized: [UInt8], file: String) throws(LoadError) {
        self.file = file
        var root = ProtobufReader(serialized[...], file: file, field: "model")
        while let (number, value) = try root.next() {
            guard case .bytes(let bytes) = value else { continue }
            switch number {
            case 1: pieces.append(try Self.piece(ProtobufReader(bytes, file: file, field: "pieces")))
            case 2:
                var trainer = ProtobufReader(bytes, file: file, field: "trainer_spec")
                while let (number, value) = try trainer.next() {
                    if number == 3, case .number(let type) = value { isBPE = type == 2 }
                }
            case 3:
                var normalizer = ProtobufReader(bytes, file: file, field: "normalizer_spec")
                while let (number, value) = try normalizer.next() {
                    if number == 3, case .number(let flag) = value { addsDummyPrefix = flag != 0 }
                }
            default: break
            }
        }
    }

    private static func piece(_ message: ProtobufReader) throws(LoadError) -> Piece {
        var (message, piece) = (message, Piece())
        while let (number, value) = try message.next() {
            switch (number, value) {
            case (1, .bytes(let bytes)): piece.text = Array(bytes)
            case (2, .fixed(let bytes)) where bytes.count == 4:
                let bits = bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                piece.score = Float(bitPattern: bits)
            case (3, .number(let kind)): piece.kind = Int(truncatingIfNeeded: kind)
            default: break
            }
        }
        return piece
    }
}
