import DoraLoader
import DoraTensor

/// What sequences leave to each other: to those that come later, and to those that wait for their turn.
extension Batch {
    /// How much of a prompt's beginning may come from an earlier request: all but the tokens whose logits are wanted.
    static func reusableTokens(of work: EngineRequest.Work) -> Int {
        switch work {
        case .score(let score) where score.continuations == nil: 0
        case .generate(let request) where request.promptLogprobs != nil: 0
        default: work.prompt.count - 1
        }
    }

    /// Leaves what was computed to those who begin alike: blocks once they are full, and once all of the prompt.
    mutating func shareComputed() {
        for index in running.indices where running[index].rotation != nil {
            guard let tail = running[index].tailToShare else { continue }
            var sequence = running[index]
            share(&sequence, tail: tail, room: budget.bytes - usedBytes)
            running[index] = sequence
        }
    }

    /// Leaves what is kept of a sequence to those who begin alike.
    /// - Parameter room: bytes by which the cache may grow beside what the sequence pays for.
    mutating func share(_ running: inout Running, tail: PrefixCache.Tail, room: Int) {
        guard running.failure == nil,
            let rotation = pass.configuration.rotation(ofLength: running.sequence.rotatedLength)
        else { return }
        running.charged -= prefixes.add(
            running.adapter, rotation: rotation, running.sequence.computedTokens, of: &running.sequence.state,
            to: &running.hold, keeps: running.reservation.keeps, room: room, tail: tail)
        if tail == .copied { running.isPromptShared = true }
    }

    /// Lets those of whose prompts nothing is computed begin with what others have computed since they came.
    mutating func beginFarther() {
        for index in running.indices where running[index].isUntouched {
            guard let rotation = running[index].rotation else { continue }
            var waiting = running[index]
            let known = prefixes.hold(
                waiting.adapter, rotation: rotation, waiting.prompt, atMost: waiting.reusableTokens,
                keeps: waiting.reservation.keeps)
            guard known.state.count > waiting.cachedTokens else {
                prefixes.release(known.hold)
                continue
            }
            waiting.charged -=
                waiting.reservation.bytes(beginningWith: waiting.hold.count)
                - waiting.reservation.bytes(beginningWith: known.hold.count)
            prefixes.release(waiting.hold)
            (waiting.hold, waiting.cachedTokens) = (known.hold, known.state.count)
            waiting.sequence.begin(on: known.state)
            running[index] = waiting
        }
    }
}

extension Batch.Running {
    /// What others could begin with that the prefix cache has not been given; nil for nothing.
    fileprivate var tailToShare: PrefixCache.Tail? {
        if failure != nil || sequence.isFinished { return nil }
        if !isPromptShared && sequence.state.count >= prompt.count { return .copied }
        return sequence.state.fullBlocks > hold.count ? .kept : nil
    }

    /// Whether nothing was computed for it.
    fileprivate var isUntouched: Bool {
        failure == nil && !sequence.isFinished && !isPromptShared && sequence.tokenIDs.isEmpty
            && sequence.state.count == cachedTokens
    }
}
