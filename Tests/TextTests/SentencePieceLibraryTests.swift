import CSentencePiece
import Testing

@testable import DoraText

/// The C interface by itself, and our streaming decoder against the library's own.
@Suite struct SentencePieceLibraryTests {
    @Test func nullIsAnsweredWithAnError() {
        var ids: UnsafeMutablePointer<Int32>?
        var text: UnsafeMutablePointer<CChar>?
        var bytes: UnsafePointer<CChar>?
        var count = 1
        var flags: UInt32 = 0
        #expect(dora_sp_load(nil, 0, nil) == DORA_SP_INVALID_ARGUMENT)
        #expect(dora_sp_encode(nil, nil, 0, &ids, &count) == DORA_SP_INVALID_ARGUMENT)
        #expect(ids == nil && count == 0)
        #expect(dora_sp_encode(nil, nil, 0, nil, nil) == DORA_SP_INVALID_ARGUMENT)
        #expect(dora_sp_decode(nil, nil, 0, &text, &count) == DORA_SP_INVALID_ARGUMENT)
        #expect(dora_sp_piece(nil, 0, &bytes, &count, &flags) == DORA_SP_INVALID_ARGUMENT)
        #expect(dora_sp_piece_count(nil) == 0 && dora_sp_bos(nil) == -1)
        dora_sp_free(nil)
        dora_sp_free_ids(nil)
        dora_sp_free_text(nil)
        #expect(String(cString: dora_sp_last_error()) == "NULL argument")
    }

    @Test func aBrokenModelIsAnsweredWithAMessage() {
        var model: OpaquePointer?
        let status = [UInt8]([0x0A, 0xFF]).withUnsafeBytes { dora_sp_load($0.baseAddress, $0.count, &model) }
        #expect(status == DORA_SP_INVALID_MODEL && model == nil)
        #expect(!String(cString: dora_sp_last_error()).isEmpty)
    }

    @Test func idsOutOfRangeAreAnErrorToTheLibrary() throws {
        let library = try load("sentencepiece").library
        #expect(library.decode([library.pieceCount]) == nil)
        #expect(library.decode([-1]) == nil)
    }

    @Test(arguments: ["sentencepiece", "sentencepiece-plain"])
    func ourDecoderAgreesWithTheLibrary(name: String) throws {
        let (library, tokenizer) = try load(name)
        var random = TokenizerFuzzTests.Random(state: 3)
        for _ in 0..<2_000 {
            let ids = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                // Mostly bytes and control pieces, where the difficulties are.
                Int.random(in: 0..<(Bool.random(using: &random) ? 260 : library.pieceCount), using: &random)
            }
            let expected = try #require(library.decode(ids))
            #expect(tokenizer.decode(ids, skippingSpecialTokens: true).isExactly(expected), "\(ids)")
        }
    }

    private func load(_ name: String) throws -> (
        library: SentencePieceLibrary, tokenizer: SentencePieceTokenizer
    ) {
        let path = "\(TokenizerFixture.root)/\(name)/tokenizer.model"
        let bytes = try Fixtures.bytes(path)
        return (
            try SentencePieceLibrary(serialized: bytes, file: path),
            try SentencePieceTokenizer(serialized: bytes, file: path, addsBOS: true)
        )
    }
}
