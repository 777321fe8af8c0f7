import DoraText
import Testing

@testable import DoraServe

/// What keys do to a line, without a terminal.
struct LineEditorTests {
    private func typed(_ bytes: String) -> (editor: LineEditor, outcomes: [LineEditor.Outcome]) {
        var keys = KeyReader()
        var editor = LineEditor()
        let outcomes = keys.take(bytes.utf8).map { editor.take($0) }.filter { $0 != .editing }
        return (editor, outcomes)
    }

    @Test(
        "Keys move and delete as they do in a shell",
        arguments: [
            ("abc\u{1B}[D\u{1B}[DX", "aXbc", 2), ("abc\u{01}X", "Xabc", 1),
            ("abc\u{1B}[HX\u{1B}[FY", "XabcY", 5),
            ("abc\u{7F}", "ab", 2), ("abc\u{01}\u{1B}[3~", "bc", 0), ("abc def\u{17}", "abc ", 4),
            ("abc\u{1B}[D\u{0B}", "ab", 2), ("abc\u{1B}[D\u{15}", "c", 0), ("ab cd\u{1B}bX", "ab Xcd", 4),
            ("a\u{7F}\u{7F}b", "b", 1), ("\u{1B}[1;5Da\u{1B}[99zb", "ab", 2), ("\u{1B}OHa", "a", 1),
        ])
    func edits(keys: String, text: String, cursor: Int) {
        let (editor, _) = typed(keys)
        #expect(editor.text == text && editor.cursor == cursor)
    }

    @Test("What people see as one character is one, whatever it is made of")
    func graphemes() {
        #expect(typed("a\u{301}👨‍👩‍👧\u{7F}").editor.text == "a\u{301}")
        #expect(typed("ae\u{301}\u{7F}").editor.text == "a")
        #expect(typed("日本\u{1B}[D語").editor.text == "日語本")
    }

    @Test("Lines come back by the arrow keys, and the one being written is kept")
    func history() {
        let (editor, outcomes) = typed("one\rtwo\rthr\u{1B}[A\u{1B}[A")
        #expect(outcomes == [.line("one"), .line("two")] && editor.text == "one")
        #expect(typed("one\rtwo\rthr\u{1B}[A\u{1B}[A\u{1B}[B\u{1B}[B\u{1B}[B").editor.text == "thr")
        #expect(typed("one\r\u{10}X\r").outcomes == [.line("one"), .line("oneX")])
    }

    @Test("A paste is taken as it is, line feeds and all, and steers nothing")
    func paste() {
        let (editor, outcomes) = typed("a\u{1B}[200~x\ry\u{1B}[31m\tz\u{1B}[201~b")
        #expect(outcomes == [] && editor.text == "ax\ny[31m\tzb")
        var keys = KeyReader()
        var split: [LineEditor.Key] = []
        for byte in "\u{1B}[200~é\u{1B}[201~é".utf8 { split += keys.take([byte]) }
        #expect(split == [.pasted("é"), .text("é")])
    }

    @Test("Ctrl-C throws away what was typed, Ctrl-D ends only where nothing was")
    func ends() {
        #expect(typed("a\u{03}").outcomes == [.interrupted(wasEmpty: false)])
        #expect(typed("\u{03}").outcomes == [.interrupted(wasEmpty: true)])
        #expect(typed("\u{04}").outcomes == [.ended])
        #expect(typed("ab\u{01}\u{04}").editor.text == "b")
    }

    @Test("Bytes that are no UTF-8, and no key, are nothing")
    func noise() {
        var keys = KeyReader()
        var editor = LineEditor()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            for key in keys.take(bytes) { _ = editor.take(key) }
            #expect(0...editor.characters.count ~= editor.cursor)
        }
    }

    @Test("Rows are cut at the terminal's width; wide characters are not cut")
    func view() {
        let (editor, _) = typed("ab日本cd")
        let view = LineView(editor, prompt: "> ", size: (6, 10))
        #expect(view.rows == ["> ab日", "  本cd", "  "] && view.cursor == (2, 2))
        let pasted = typed("\u{1B}[200~1\n2\n3\n4\u{1B}[201~").editor
        let few = LineView(pasted, prompt: "> ", size: (80, 3))
        #expect(few.rows == ["  3", "  4"] && few.cursor == (1, 3))
    }

    @Test("Entries are lines, lines that go on, blocks, and commands")
    func entries() {
        func entries(_ lines: String...) -> [ConversationInput.Entry] {
            var input = ConversationInput()
            return lines.compactMap { input.take($0) }
        }
        #expect(entries("a", "", " ", "b") == [.message("a"), .message("b")])
        #expect(entries("a\\", "b\\", "c", "d") == [.message("a\nb\nc"), .message("d")])
        #expect(entries("\"\"\"", "a", "", "b", "\"\"\"", "c") == [.message("a\n\nb"), .message("c")])
        #expect(entries("\"\"\"a", "b\"\"\"") == [.message("a\nb")])
        #expect(entries("\"\"\"a\"\"\"") == [.message("a")])
        #expect(
            entries("/adapter  x ", "/reset", "//x", "/") == [
                .command("adapter", argument: "x"), .command("reset", argument: ""), .message("/x"),
                .command("", argument: ""),
            ])
        #expect(entries("a\\", "/b") == [.message("a\n/b")])
    }

    @Test("What a model makes cannot steer a terminal")
    func harmless() {
        #expect("a\u{1B}[31m\r\u{9B}b\n\tc\u{202E}".harmless == "a\\u{1B}[31m\\r\\u{9B}b\n\tc\\u{202E}")
    }
}
