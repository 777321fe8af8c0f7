import DoraText
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

extension Response {
    init(json bytes: [UInt8], status: HTTPResponse.Status = .ok) {
        self.init(json: ByteBuffer(bytes: bytes), status: status)
    }

    init(json bytes: ByteBuffer, status: HTTPResponse.Status = .ok) {
        self.init(
            status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: bytes))
    }

    /// A body written in place.
    init(_ write: (inout JSONLine) -> Void) {
        var line = JSONLine()
        write(&line)
        self.init(json: line.bytes)
    }

    /// The answer of an operation, as the line protocol's `result` has it.
    init(result: some Encodable) throws { self.init(json: Array(try result.jsonLine.utf8)) }

    init(text: String, type: String = "text/plain; charset=utf-8") {
        self.init(
            status: .ok, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    init(_ error: OpenAIError) {
        self.init(json: error.body, status: HTTPResponse.Status(code: error.status.rawValue))
        if error.status == .authentication { headers[.wwwAuthenticate] = "Bearer" }
        if error.forbidsRetry { headers[.shouldRetry] = "false" }
        if let seconds = error.retryAfter { headers[.retryAfter] = "\(seconds)" }
        if error.closes { headers[.connection] = "close" }
    }
}

extension HTTPField.Name {
    private static func name(_ text: String) -> HTTPField.Name { HTTPField.Name(text) ?? .server }

    static let requestID = name("x-request-id")
    static let shouldRetry = name("x-should-retry")
    static let doraAdapter = name("x-dora-adapter")
    static let doraIgnored = name("x-dora-ignored")
    static let serverTiming = name("server-timing")
    static let accelBuffering = name("x-accel-buffering")
    static let contentTypeOptions = name("x-content-type-options")
    static let host = name("host")
}

/// The time as headers spell it; made once a second.
enum HTTPDate {
    private static let last = Mutex<(second: time_t, text: String)>((0, ""))

    static var now: String {
        let second = time(nil)
        return last.withLock { last in
            if last.second != second { last = (second, spell(second)) }
            return last.text
        }
    }

    private static func spell(_ second: time_t) -> String {
        var (second, parts) = (second, tm())
        gmtime_r(&second, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year) \(clock) GMT"
    }
}
