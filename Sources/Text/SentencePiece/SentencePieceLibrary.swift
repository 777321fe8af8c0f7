import CSentencePiece

/// A model inside libsentencepiece; frees it when the last reference goes.
final class SentencePieceLibrary: Sendable {
    // Every function but the one that frees it takes the model as const, and `deinit` runs when nobody else has it:
    // threads may share it.
    nonisolated(unsafe) private let model: OpaquePointer

    init(serialized: [UInt8], file: String) throws(LoadError) {
        var loaded: OpaquePointer?
        let status = serialized.withUnsafeBytes { dora_sp_load($0.baseAddress, $0.count, &loaded) }
        guard status == DORA_SP_OK, let loaded else {
            let reason = serialized.isEmpty ? "the file is empty" : String(cString: dora_sp_last_error())
            throw LoadError(.malformed, file: file, field: "pieces", "libsentencepiece refuses it: \(reason)")
        }
        model = loaded
    }

    deinit { dora_sp_free(model) }

    var pieceCount: Int { Int(dora_sp_piece_count(model)) }

    /// nil if the model has no piece that begins a text.
    var bos: Int? {
        let id = Int(dora_sp_bos(model))
        return id < 0 ? nil : id
    }

    /// nil if the model has no piece that ends a text.
    var eos: Int? {
        let id = Int(dora_sp_eos(model))
        return id < 0 ? nil : id
    }

    /// The piece that is spelled exactly so.
    func id(of piece: String) -> Int? {
        var piece = piece
        let id = piece.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { dora_sp_id(model, $0.baseAddress, $0.count) }
        }
        return id < 0 ? nil : Int(id)
    }

    /// The ids of `text`; none if the library fails, which it does only when memory is out.
    func encode(_ text: String) -> [Int] {
        var text = text
        return text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                var ids: UnsafeMutablePointer<Int32>?
                var count = 0
                defer { dora_sp_free_ids(ids) }
                let status = dora_sp_encode(model, characters.baseAddress, characters.count, &ids, &count)
                guard status == DORA_SP_OK else { return [] }
                return UnsafeBufferPointer(start: ids, count: count).map(Int.init)
            }
        }
    }

    /// The text of ids, all of which must be pieces, as the library itself decodes them.
    func decode(_ ids: [Int]) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        defer { dora_sp_free_text(text) }
        let status = dora_sp_decode(
            model, ids.map(Int32.init(truncatingIfNeeded:)), ids.count, &text, &length)
        guard status == DORA_SP_OK else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
    }

    /// The spelling and kind of a piece; `id` must be below `pieceCount`.
    func piece(_ id: Int) -> (bytes: [UInt8], kind: SentencePieces.Kind) {
        var bytes: UnsafePointer<CChar>?
        var length = 0
        var flags: UInt32 = 0
        let status = dora_sp_piece(model, Int32(truncatingIfNeeded: id), &bytes, &length, &flags)
        guard status == DORA_SP_OK else { return ([], .control) }
        func has(_ flag: dora_sp_flags) -> Bool { flags & flag.rawValue != 0 }
        let kind: SentencePieces.Kind =
            has(DORA_SP_CONTROL)
            ? .control : has(DORA_SP_UNKNOWN) ? .unknown : has(DORA_SP_BYTE) ? .byte : .normal
        return (Array(UnsafeRawBufferPointer(start: bytes, count: length)), kind)
    }
}
