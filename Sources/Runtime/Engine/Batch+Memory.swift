import DoraTensor

/// Who has memory for keys and values.
///
/// A text that is generated is given blocks as it grows, so that many run side by side of which each might become as long as
/// memory goes. When there is none left, the youngest makes room: its tokens stay, and are computed again, as a prompt is,
/// once older ones have ended. A row's bits do not depend on how it is computed, so nobody can tell. The oldest never has to
/// yield to a younger one, and each fits if it is alone, so all come to their ends. What cannot begin again just anywhere
/// has what it needs at most from the beginning.
extension Batch {
    /// Blocks that running sequences keep, those that they share with others included.
    var keptBlocks: Int { running.reduce(prefixes.heldCount) { $0 + $1.charged } }
    var usedBlocks: Int { running.reduce(prefixes.blockCount) { $0 + $1.charged } }

    /// Blocks that a request takes at most.
    func blocks(_ work: EngineRequest.Work) -> Int {
        let request: GenerationRequest
        switch work {
        case .generate(let generation):
            if let scored = generation.scoredChoices { return blocks(.score(scored)) }
            request = generation
        case .score(let score):
            return score.promptBlocks + score.width(blockBudget: blockBudget) * score.branchBlocks
        }
        let (sum, isHuge) = request.prompt.count.addingReportingOverflow(request.maximumTokens)
        // Who asks for as much as there is gets what memory holds, but one token at least.
        let tokens = min(isHuge ? max(request.prompt.count + 1, positions) : sum, context)
        return Self.blocks(positions: tokens)
    }

    static func blocks(positions: Int) -> Int {
        positions.roundedUp(to: KeyValueGeometry.blockPositions) / KeyValueGeometry.blockPositions
    }

    /// Whether the request could run if it were alone.
    func fits(_ work: EngineRequest.Work) -> Bool { blocks(work) <= blockBudget }

    /// Whether a request can begin again after each of its tokens: nothing is recorded while its prompt is taken in.
    static func canGrow(_ work: EngineRequest.Work) -> Bool {
        switch work {
        case .generate(let request): request.choices == nil && request.promptLogprobs == nil
        case .score: false
        }
    }

    /// Beginnings that nobody uses make room.
    mutating func makeRoom(for blocks: Int) -> Bool {
        while usedBlocks + blocks > blockBudget {
            guard prefixes.evictOne() else { return false }
        }
        return true
    }

    /// Gives each sequence the blocks that its next tokens need, the oldest first; the youngest make room.
    mutating func makeRoomForStep() {
        let growing = running.indices.filter { running[$0].grows && !running[$0].sequence.isFinished }
            .sorted { running[$0].arrival < running[$1].arrival }
        // Those from here on are paused.
        var end = growing.count
        for (place, index) in growing.enumerated() where place < end {
            let sequence = running[index].sequence
            let owned = running[index].charged + running[index].held.count
            let needed = Self.blocks(positions: sequence.cache.count + sequence.pendingTokens) - owned
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

    /// Gives up a sequence's memory, but for what nobody needs more.
    private mutating func pause(_ index: Int) {
        guard var sequence = running[index].sequence as? RunningSequence else { return }
        var yielding = running[index]
        share(&yielding)
        prefixes.release(yielding.held)
        yielding.held = []
        yielding.charged = 0
        sequence.beginAgain(on: KeyValueCache(geometry: pass.geometry))
        yielding.sequence = sequence
        yielding.isPaused = true
        running[index] = yielding
        preemptions += 1
    }

    /// Lets those go on that had made room, in the order of their arrival, as far as places and memory go.
    mutating func resume() {
        while var next = paused.first, running.count < maximumSequences,
            var sequence = next.sequence as? RunningSequence
        {
            let tokens = sequence.tokens
            let held =
                next.rotation.map {
                    prefixes.hold(next.adapter, rotation: $0, tokens, atMost: tokens.count - 1)
                } ?? []
            let needed = Self.blocks(positions: tokens.count) - held.count
            guard makeRoom(for: needed) else { return prefixes.release(held) }
            sequence.beginAgain(
                on: KeyValueCache(geometry: pass.geometry, beginningWith: prefixes.blocks(held)))
            next.sequence = sequence
            next.held = held
            next.charged = needed
            next.isPaused = false
            paused.removeFirst()
            running.append(next)
        }
    }
}
