import DoraRuntime
import NIOCore

/// Server-sent events: each object in a line of data, then `[DONE]`; a comment where a client would hear nothing for long.
struct EventStream: Sendable {
    private var objects: OpenAIStream
    private let silence: Duration
    private var last = ContinuousClock.now

    init(_ objects: OpenAIStream, pingingAfter silence: Duration) {
        self.objects = objects
        self.silence = silence
    }

    /// Nothing follows.
    var isDone: Bool { objects.isDone }

    /// What is to be sent now; often nothing.
    mutating func take(_ signal: EngineSignals.Signal, _ notes: HTTPNotes) -> ByteBuffer {
        var bytes = ByteBuffer()
        switch signal {
        case .tick:
            // Ticks are not to the moment.
            guard ContinuousClock.now - last > silence * 9 / 10 else { return bytes }
            bytes.writeStaticString(": ping\n\n")
        case .event(let index, let event):
            notes.add(event)
            for object in objects.take(event, of: index) {
                bytes.writeStaticString("data: ")
                bytes.writeBytes(object)
                bytes.writeStaticString("\n\n")
            }
            if objects.isDone { bytes.writeStaticString("data: [DONE]\n\n") }
        }
        if bytes.readableBytes > 0 { last = .now }
        return bytes
    }
}
