import NIOCore

/// A time by which something must have happened. Moving it costs nothing: what is scheduled looks again when it is due.
final class Deadline {
    private var time: NIODeadline?
    private var scheduled: (task: Scheduled<Void>, time: NIODeadline)?
    private var action: () -> Void = {}

    func start(_ amount: TimeAmount, on eventLoop: any EventLoop, _ action: @escaping () -> Void) {
        let time = NIODeadline.now() + amount
        self.time = time
        self.action = action
        if let scheduled, scheduled.time <= time { return }
        scheduled?.task.cancel()
        schedule(time, eventLoop)
    }

    private func schedule(_ time: NIODeadline, _ eventLoop: any EventLoop) {
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: time) {
            self.scheduled = nil
            guard let wanted = self.time else { return }
            if wanted > NIODeadline.now() { return self.schedule(wanted, eventLoop) }
            self.time = nil
            self.action()
        }
        scheduled = (task, time)
    }

    /// What must happen has happened.
    func stop() { time = nil }

    /// For good.
    func cancel() {
        time = nil
        scheduled?.task.cancel()
        scheduled = nil
        action = {}
    }
}
