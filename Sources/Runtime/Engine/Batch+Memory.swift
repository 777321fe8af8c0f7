import DoraTensor

/// Who has memory for what is kept of sequences.
///
/// A text that is generated is given memory as it grows, so that many run side by side of which each might become as long
/// as memory goes. When there is none left, the youngest makes room: its tokens stay, and are computed again, as a prompt
/// is, once older ones have ended. A row's bits do not depend on how it is computed, so nobody can tell. The oldest never
/// yields to a younger one, and each fits if it is alone, so all come to their ends. What cannot begin again just anywhere
/// has what it needs at most from the beginning.
extension Batch {
    /// Bytes of what running sequences keep or were promised, what they share with others included.
    var keptBytes: Int { running.reduce(prefixes.pinnedBytes) { $0 + $1.charged } }
    var usedBytes: Int { running.reduce(prefixes.byteCount) { $0 + $1.charged } }

    /// Whether the request could run if it were alone.
    func fits(_ work: EngineRequest.Work) -> Bool {
        budget.reservation(work, context: context).bytes() <= budget.bytes
    }

    /// Whether a request can begin again after each of its tokens: nothing is recorded while its prompt is taken in.
    static func canGrow(_ work: EngineRequest.Work) -> Bool {
        switch work {
        case .generate(let request): request.choices == nil && request.promptLogprobs == nil
        case .score: false
        }
    }

    /// Beginnings that nobody uses make room.
    mutating func makeRoom(for bytes: Int) -> Bool {
        while usedBytes + bytes > budget.bytes {
            guard prefixes.evictOne() != nil else { return false }
        }
        return true
    }

    /// Gives each sequence the memory that its next tokens need, the oldest first; the youngest make room.
    mutating func makeRoomForStep() {
        let growing = running.indices.filter { running[$0].grows && !running[$0].sequence.isFinished }
            .sorted { running[$0].arrival < running[$1].arrival }
        // Those from here on are paused.
        var end = growing.count
        for (place, index) in growing.enumerated() where place < end {
            let needed = running[index].neededBytes - running[index].charged
            guard needed > 0 else { continue }
            while place < end, !makeRoom(for: needed) {
                end -= 1
                pause(growing[end])
            }
            if place < end { running[index].charged += needed }
        }
        guard end < growing.count else { return }
        paused += running.filter(\.isPaused)
        paused.sort { $0.arrival < $1.arrival }
        running.removeAll(where: \.isPaused)
    }

    /// Gives up a sequence's memory, but for what others may begin with.
    private mutating func pause(_ index: Int) {
        var yielding = running[index]
        guard var sequence = yielding.sequence as? RunningSequence else { return }
        share(&yielding)
        prefixes.release(yielding.hold)
        yielding.hold = PrefixCache.Hold()
        yielding.charged = 0
        sequence.beginAgain(on: SequenceState(pass.geometry))
        yielding.sequence = sequence
        yielding.isPaused = true
        running[index] = yielding
        preemptions += 1
    }

    /// Lets those go on that had made room, in the order of their arrival, as far as places and memory go.
    mutating func resume() {
        while var next = paused.first, running.count < maximumSequences,
            var sequence = next.sequence as? RunningSequence, let rotation = next.rotation
        {
            let tokens = sequence.tokens
            next.hold = prefixes.hold(
                next.adapter, rotation: rotation, tokens, atMost: tokens.count - 1,
                keeps: next.reservation.keeps)
            sequence.beginAgain(on: prefixes.state(next.hold))
            next.sequence = sequence
            next.charged = next.neededBytes
            guard makeRoom(for: next.charged) else { return prefixes.release(next.hold) }
            next.isPaused = false
            paused.removeFirst()
            running.append(next)
        }
    }
}
