/// What decoding needs to know of a SentencePiece model and the library does not tell: read from the protocol
/// buffer directly.
struct SentencePieceOptions: Equatable, Sendable {
    private(set) var addsDummyPrefix = true
    /// Runs of spaces are taken for mistakes: all leading ones are dropped.
    private(set) var dropsLeadingSpaces = true
    /// What the unknown piece decodes to.
    private(set) var unknownSurface = Array(" \u{2047} ".utf8)

    /// Pieces that are found in a text before it is cut.
    private(set) var userDefined: Set<[UInt8]> = []

    /// The space before a text was put there by the encoder.
    var dropsFirstSpace: Bool { addsDummyPrefix || dropsLeadingSpaces }

    /// Behind a serialized model: neither puts a space before the text nor drops any. Of a field that stands twice the
    /// last one counts.
    static let withoutSpaces: [UInt8] = [
        UInt8(Field.normalizer << 3 | 2), 4, UInt8(Field.addDummyPrefix << 3), 0,
        UInt8(Field.removeExtraWhitespaces << 3), 0,
    ]

    /// Field numbers of `sentencepiece_model.proto`.
    private enum Field {
        static let piece = 1
        static let trainer = 2
        static let normalizer = 3
        static let denormalizer = 5
        static let unknownSurface = 44
        static let addDummyPrefix = 3
        static let removeExtraWhitespaces = 4
        static let charsMap = 2
        static let text = 1
        static let type = 3
        static let userDefined: UInt64 = 4
    }

    init(serialized: [UInt8], file: String) throws(LoadError) {
        var root = ProtobufReader(serialized[...], file: file, field: "model")
        while let (number, value) = try root.next() {
            guard case .bytes(let bytes) = value else { continue }
            switch number {
            case Field.piece: try readPiece(ProtobufReader(bytes, file: file, field: "pieces"))
            case Field.trainer: try readTrainer(ProtobufReader(bytes, file: file, field: "trainer_spec"))
            case Field.normalizer:
                try readNormalizer(ProtobufReader(bytes, file: file, field: "normalizer_spec"))
            case Field.denormalizer:
                try checkDenormalizer(ProtobufReader(bytes, file: file, field: "denormalizer_spec"))
            default: break
            }
        }
    }

    private mutating func readPiece(_ message: ProtobufReader) throws(LoadError) {
        var message = message
        var text: ArraySlice<UInt8> = []
        var isUserDefined = false
        while let (number, value) = try message.next() {
            if number == Field.text, case .bytes(let bytes) = value { text = bytes }
            if number == Field.type, case .number(let type) = value {
                isUserDefined = type == Field.userDefined
            }
        }
        if isUserDefined { userDefined.insert(Array(text)) }
    }

    private mutating func readTrainer(_ message: ProtobufReader) throws(LoadError) {
        var message = message
        while let (number, value) = try message.next() {
            guard number == Field.unknownSurface, case .bytes(let bytes) = value else { continue }
            guard UTF8Bytes.firstFlaw(in: Array(bytes)) == nil else {
                throw message.error("unk_surface is not valid UTF-8")
            }
            unknownSurface = Array(bytes)
        }
    }

    private mutating func readNormalizer(_ message: ProtobufReader) throws(LoadError) {
        var message = message
        while let (number, value) = try message.next() {
            guard case .number(let flag) = value else { continue }
            if number == Field.addDummyPrefix { addsDummyPrefix = flag != 0 }
            if number == Field.removeExtraWhitespaces { dropsLeadingSpaces = flag != 0 }
        }
    }

    private func checkDenormalizer(_ message: ProtobufReader) throws(LoadError) {
        var message = message
        while let (number, value) = try message.next() {
            if number == Field.charsMap, case .bytes(let bytes) = value, !bytes.isEmpty {
                throw LoadError(
                    .unsupported, file: message.file, field: "denormalizer_spec.precompiled_charsmap",
                    "a denormalizer is not supported")
            }
        }
    }
}
