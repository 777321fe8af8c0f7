import FoundationEssentials
import Testing

@testable import DoraServe

@Suite struct WebPageTests {
    private let page = WebPage()

    private func file(_ path: String) throws -> WebPageFile { try #require(page.file(at: path)) }

    private func text(_ path: String) throws -> String {
        String(decoding: try file(path).bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("/", "index.html", "html"), ("/app.js", "app.js", "javascript"), ("/app.css", "app.css", "css"),
    ])
    func theFilesOfTheFolderAreInTheProgram(path: String, name: String, type: String) throws {
        let folder = TestServer.fixtures + "/../../Sources/Serve/Page/"
        let source = try #require(FileManager.default.contents(atPath: folder + name))
        #expect(try file(path).bytes == Array(source))
        #expect(try file(path).contentType == "text/\(type); charset=utf-8")
    }

    @Test func nothingElseIsServed() {
        #expect(page.paths == ["/", "/app.css", "/app.js"])
        for path in ["", "/index.html", "/app.js/", "//", "/../app.js", "/WebPage.swift"] {
            #expect(page.file(at: path) == nil)
        }
    }

    /// What the policy forbids would only be seen in a browser.
    @Test func thePageLivesUnderItsPolicy() throws {
        let markup = try text("/")
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:", "<script>"] {
            #expect(!markup.contains(inline))
        }
        #expect(markup.contains(#"<script src="app.js" defer></script>"#))
        #expect(markup.contains(#"<link rel="stylesheet" href="app.css">"#))
        let script = try text("/app.js")
        for risk in [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Storage", "cookie",
        ] {
            #expect(!script.contains(risk))
        }
        #expect(try !text("/app.css").contains("url("))
        #expect(!WebPageFile.policy.contains("unsafe"))
    }

    @Test func everyFileComesWithItsHeaders() throws {
        for path in page.paths {
            let file = try self.file(path)
            let headers = Dictionary(uniqueKeysWithValues: file.headers.map { ($0.name, $0.value) })
            #expect(headers["Content-Security-Policy"]?.hasPrefix("default-src 'none'; ") == true)
            #expect(headers["X-Content-Type-Options"] == "nosniff")
            #expect(headers["Referrer-Policy"] == "no-referrer")
            #expect(headers["Cache-Control"] == "no-cache")
            #expect(headers["ETag"] == file.entityTag)
        }
    }

    @Test func theTagIsTheContents() throws {
        let file = WebPageFile("text/plain", Array("abc".utf8))
        // The beginning of SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        #expect(file.entityTag == "\"ba7816bf8f01cfea414140de5dae2223\"")
        #expect(WebPageFile("text/plain", Array("abd".utf8)).entityTag != file.entityTag)
        let tag = file.entityTag
        for matching in [tag, "W/\(tag)", "*", "\"other\", \(tag)", " \(tag) ,\"other\""] {
            #expect(file.isNamed(by: matching), "\(matching)")
        }
        for other in ["", ",", "\"other\"", "W/", String(tag.dropLast()), "W/\"*\""] {
            #expect(!file.isNamed(by: other), "\(other)")
        }
    }
}
