/// What a client calls a request: a string or an integer, given back as it was.
package enum RequestID: Hashable, Sendable, Encodable, CustomStringConvertible {
    case string(String)
    case int(Int)

    package var description: String {
        switch self {
        case .string(let text): text
        case .int(let number): "\(number)"
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .string(let text): try container.encode(text)
        case .int(let number): try container.encode(number)
        }
    }
}
