import Dispatch
import Synchronization

/// Messages for one thread, in the order in which they were sent.
final class Inbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let arrived = DispatchSemaphore(value: 0)

    func send(_ message: Message) {
        let wasEmpty = messages.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if wasEmpty { arrived.signal() }
    }

    /// All messages so far; with `waiting`, at least one.
    func receive(waiting: Bool) -> [Message] {
        while true {
            let taken = messages.withLock { messages in
                defer { messages = [] }
                return messages
            }
            if !taken.isEmpty || !waiting { return taken }
            arrived.wait()
        }
    }
}
