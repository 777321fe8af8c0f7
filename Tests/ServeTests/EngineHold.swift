import Dispatch
import Synchronization

@testable import DoraRuntime

/// The engine's thread, stopped between two steps: what a test then sends is waiting until `release`, on the fastest
/// machine and on the busiest.
final class EngineHold: Sendable {
    typealias Condition = @Sendable (EngineStatistics) -> Bool

    /// The engine at that pause.
    let statistics: EngineStatistics
    private let engine: Engine
    private let gate: DispatchSemaphore

    /// Stops `engine` at the first pause between two steps where `condition` holds, or after a minute.
    ///
    /// The engine's thread asks itself at every such pause, so that no state is too short to be seen.
    convenience init(_ engine: Engine, when condition: @escaping Condition = { _ in true }) async {
        await self.init(engine, condition) {}
    }

    private init(_ engine: Engine, _ condition: @escaping Condition, asked: () -> Void) async {
        let gate = DispatchSemaphore(value: 0)
        self.engine = engine
        self.gate = gate
        statistics = await withCheckedContinuation { stopped in
            Self.ask(engine, condition, until: .now + .seconds(60)) {
                stopped.resume(returning: $0)
                // A test that fails before it releases the engine must not hang.
                _ = gate.wait(timeout: .now() + .seconds(60))
            }
            asked()
        }
    }

    private static func ask(
        _ engine: Engine, _ condition: @escaping Condition, until end: ContinuousClock.Instant,
        _ stop: @escaping @Sendable (EngineStatistics) -> Void
    ) {
        engine.statistics {
            if condition($0) || ContinuousClock.now > end {
                stop($0)
            } else {
                ask(engine, condition, until: end, stop)
            }
        }
    }

    func release() { gate.signal() }

    /// Lets the engine go on until `condition` holds.
    func next(when condition: @escaping Condition = { _ in true }) async -> EngineHold {
        await EngineHold(engine, condition) { release() }
    }

    /// Lets the engine make a step every ten milliseconds while `work` is done, and go on then.
    func slowly<Result: Sendable>(_ work: () async throws -> Result) async rethrows -> Result {
        let isDone = Mutex(false)
        async let _: Void = {
            var hold = self
            while !isDone.withLock({ $0 }) {
                try? await Task.sleep(for: .milliseconds(10))
                hold = await hold.next()
            }
            hold.release()
        }()
        defer { isDone.withLock { $0 = true } }
        return try await work()
    }

    /// Whether `count` requests come to wait for a place.
    func waiting(_ count: Int) async -> Bool { await eventually { engine.queue.waiting == count } }
}

/// Whether something comes true within a minute.
func eventually(_ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return await condition()
}
