/// Whose tokens a step computes.
extension Batch {
    /// How much longer a step may take for the prompts that it takes in, as others wait for their tokens.
    private static let patience = 3.0
    /// Prompt tokens that every step has room for.
    private static let leastRoom = 8

    /// How many tokens each sequence computes in the next step: one where it is decoding; prompts share what a step
    /// holds, which is little while others decode, so that these do not stall.
    func shares() -> [(index: Int, count: Int)] {
        let active = running.indices.filter { !running[$0].sequence.isFinished && !running[$0].isWaiting }
        let decoding = active.filter { running[$0].sequence.isDecoding }
        let prompts = active.filter { !running[$0].sequence.isDecoding }
        if active.count == 1, let prompt = prompts.first {
            return [(prompt, pass.share(of: running[prompt].sequence.pendingTokens))]
        }
        if prompts.isEmpty { return decoding.map { ($0, 1) } }
        return decoding.map { ($0, 1) } + promptShares(prompts, room: room(beside: decoding.count))
    }

    /// How many tokens of prompts a step takes in beside others that decode: as many as those can wait for, by what steps
    /// of late took.
    private func room(beside decoding: Int) -> Int {
        guard decoding > 0 else { return pass.chunk }
        let most = min(max(pass.chunk / 4, maximumSequences), pass.chunk - decoding)
        let tolerable = price.curve.rows(addedTo: decoding, within: Self.patience, atMost: most)
        return max(tolerable, min(Self.leastRoom, most))
    }

    /// Half for the prompt that came first, so that none starves; the rest goes to those that need least, so that most
    /// wait little.
    private func promptShares(_ prompts: [Int], room: Int) -> [(index: Int, count: Int)] {
        guard let first = prompts.first else { return [] }
        func pending(_ index: Int) -> Int { running[index].sequence.pendingTokens }
        let kept = min(pending(first), (room + 1) / 2)
        var counts = [first: kept]
        var left = room - kept
        // Of equals the first, so that it is done before the next begins.
        for index in prompts.sorted(by: { (pending($0), $0) < (pending($1), $1) }) where left > 0 {
            let count = min(pending(index) - counts[index, default: 0], left)
            if count > 0 { counts[index, default: 0] += count }
            left -= count
        }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
