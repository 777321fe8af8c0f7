package import NIOCore

/// How long clients may take, and how much they may say before they say what they want.
package struct HTTPLimits: Sendable {
    package var head = TimeAmount.seconds(10)
    package var body = TimeAmount.seconds(30)
    package var idle = TimeAmount.seconds(75)
    /// For each part of a reply.
    package var write = TimeAmount.seconds(60)
    package var farewell = TimeAmount.seconds(1)
    /// Silence after which a stream says that it lives.
    package var ping = Duration.seconds(15)
    package var headerBytes = 16 << 10
    package var headBytes = 64 << 10
    package var headers = 100

    package init() {}
}
