import HTTPTypes
import Hummingbird
import NIOCore

/// The page for people.
extension HTTPAPI {
    var pageRoutes: [HTTPRoute] {
        let page = WebPage()
        return page.paths.map { path in
            HTTPRoute(method: .get, path: path, role: .stranger) { request, _ in
                guard let file = page.file(at: path) else { throw HTTPError(.notFound) }
                let isKnown = request.headers[.ifNoneMatch].map(file.isNamed) ?? false
                var response =
                    isKnown
                    ? Response(status: .notModified)
                    : Response(status: .ok, body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
                for (name, value) in file.headers {
                    guard let name = HTTPField.Name(name), !isKnown || name != .contentType else { continue }
                    response.headers[name] = value
                }
                return response
            }
        }
    }
}
