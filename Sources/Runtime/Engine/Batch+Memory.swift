import DoraTensor

/// Who has memory for what is kept of sequences.
///
/// A text that is generated is given memory as it grows, so that many run side by side of which each might become as long
/// as memory goes. When there is none left, the youngest makes room: its tokens stay, and are computed again, as a prompt
/// is, once others have ended. A row's bits do not depend on how it is computed, so nobody can tell. The oldest never
/// yields, and each fits if it is alone, so all come to their ends. Few overtake who waits, and only those whose whole
/// text fits into what is left. What cannot begin again just anywhere has what it needs at most from the beginning.
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

    /// Beginnings that nobody uses make room, if that is enough.
    mutating func makeRoom(for bytes: Int) -> Bool {
        guard keptBytes + bytes <= budget.bytes else { return false }
        while usedBytes + bytes > budget.bytes {
            guard prefixes.evictOne() != nil else { return false }
        }
        return true
    }

    /// What is left for those who run to grow by when another comes, so that it is not made to go at once.
    var slack: Int { running.count(where: \.grows) * budget.geometry.blockBytes }

    /// Gives each sequence the memory that its next tokens need, the oldest first; the youngest make room.
    mutating func makeRoomForStep() {
        let growing = running.indices.filter { running[$0].grows && !running[$0].sequence.isFinished }
            .sorted { running[$0].number < running[$1].number }
        // Those from here on are paused.
        var end = growing.count
        for (place, index) in growing.enumerated() where place < end {
            running[index].isWaiting = false
            let needed = running[index].neededBytes - running[index].charged
            guard needed > 0 else { continue }
            // The oldest keeps what it has: what is in its way does not grow, and ends.
            while end > max(place, 1), !makeRoom(for: needed) {
                end -= 1
                pause(growing[end])
            }
            if place >= end { break }
            if makeRoom(for: needed) {
                running[index].charged += needed
            } else {
                running[index].isWaiting = true
            }
        }
        guard end < growing.count else { return }
        paused += running.filter(\.isPaused)
        paused.sort { $0.number < $1.number }
        running.removeAll(where: \.isPaused)
    }

    /// Gives up a sequence's memory, but for what others, or itself, may begin with.
    private mutating func pause(_ index: Int) {
        var yielding = running[index]
        guard var sequence = yielding.sequence as? RunningSequence else { return }
        running[index].charged = yielding.reservation.bytes(
            of: sequence.state.count, beginningWith: yielding.hold.count, isWhole: false)
        share(&yielding, tail: .left, room: budget.bytes - usedBytes)
        prefixes.release(yielding.hold)
        yielding.hold = PrefixCache.Hold()
        yielding.charged = 0
        sequence.beginAgain(on: SequenceState(pass.geometry))
        yielding.sequence = sequence
        yielding.isPaused = true
        running[index] = yielding
        preemptions += 1
    }

    /// Lets those go on that had made room, in the order in which they came, as far as places and memory go.
    mutating func resume() {
        guard hasEnded else { return }
        hasEnded = false
        while var next = paused.first, running.count < maximumSequences,
            var sequence = next.sequence as? RunningSequence, let rotation = next.rotation
        {
            let tokens = sequence.tokens
            let known = prefixes.hold(
                next.adapter, rotation: rotation, tokens, atMost: tokens.count - 1,
                keeps: next.reservation.keeps)
            next.hold = known.hold
            sequence.beginAgain(on: known.state)
            next.sequence = sequence
            next.charged = next.neededBytes
            guard makeRoom(for: next.charged + slack) else { return prefixes.release(next.hold) }
            next.isPaused = false
            paused.removeFirst()
            running.append(next)
            overtakers = 0
        }
    }
}
