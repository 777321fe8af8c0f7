import Crypto

/// The page for people: three files that are part of the program, and what goes with them over HTTP.
///
/// They are the files of this folder, made bytes by the build (`embedInCode`). Nothing of them comes from elsewhere,
/// and the policy sees to it that nothing can: what a model says stays text.
struct WebPage: Sendable {
    private let files: [String: WebPageFile] = [
        "/": WebPageFile("text/html; charset=utf-8", PackageResources.index_html),
        "/app.js": WebPageFile("text/javascript; charset=utf-8", PackageResources.app_js),
        "/app.css": WebPageFile("text/css; charset=utf-8", PackageResources.app_css),
    ]

    /// Where the page's files are, `/` the first.
    var paths: [String] { files.keys.sorted() }

    /// The file at the path of a request, without its query; nil if the page has none there.
    func file(at path: String) -> WebPageFile? { files[path] }
}

/// One file of the page.
struct WebPageFile: Sendable {
    /// <https://www.w3.org/TR/CSP3/>: own files and own API only, no inline script or style, no frame around it.
    static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    let contentType: String
    let bytes: [UInt8]
    /// A strong one, quotes included: it changes with the content.
    let entityTag: String

    init(_ contentType: String, _ bytes: [UInt8]) {
        self.contentType = contentType
        self.bytes = bytes
        let digits = SHA256.hash(data: bytes).prefix(16).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        entityTag = "\"\(digits.joined())\""
    }

    /// The header fields of an answer with this file; all but `Content-Type` belong to a 304, too.
    var headers: [(name: String, value: String)] {
        [
            ("Content-Type", contentType), ("ETag", entityTag), ("Cache-Control", "no-cache"),
            ("Content-Security-Policy", Self.policy), ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ]
    }

    /// Whether a request's `If-None-Match` names this content, so that 304 answers it (RFC 9110, section 13.1.2).
    func isNamed(by ifNoneMatch: String) -> Bool {
        ifNoneMatch.split(separator: ",").contains { part in
            let tag = part.trimmingPrefix(while: \.isWhitespace)
            let end = tag.lastIndex { !$0.isWhitespace }
            let name = end.map { tag[...$0] } ?? tag
            return name == "*" || (name.hasPrefix("W/") ? name.dropFirst(2) : name) == entityTag
        }
    }
}
