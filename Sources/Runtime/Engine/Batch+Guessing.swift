/// Guesses are rows of a step like others, where there is room for them and they are likely to pay.
extension Batch {
    /// - Parameter shares: what each sequence computes for certain.
    /// - Returns: the sequences that guess.
    mutating func guess(beside shares: [(index: Int, count: Int)]) -> [Int] {
        guard speculation.limit > 0 else { return [] }
        // What is rotated by the length of the sequence would be rotated otherwise by a guess.
        let able = shares.filter { index, count in
            running[index].rotation != nil && running[index].sequence.pendingTokens <= count
        }
        let rows = shares.reduce(0) { $0 + $1.count }
        let room = pass.chunk - rows
        var proposals: [(index: Int, proposal: Proposal)] = []
        for (index, _) in able {
            let (adapter, repeats) = (running[index].adapter, running[index].repeats)
            guard
                let proposal = speculation.proposal(
                    of: &running[index].sequence, by: adapter, own: repeats, atMost: room)
            else { continue }
            proposals.append((index, proposal))
        }
        let counts = speculation.counts(
            of: proposals.map(\.proposal), making: able.count, beside: rows - able.count, room: room)
        for ((index, proposal), count) in zip(proposals, counts) {
            if count > 0 {
                running[index].sequence.take(proposal.guess.first(count))
            } else {
                speculation.reject(proposal, of: running[index].adapter, own: &running[index].repeats)
            }
        }
        return zip(proposals, counts).compactMap { $1 > 0 ? $0.index : nil }
    }

    mutating func settle(_ guessing: [Int]) {
        for index in guessing {
            var own = running[index]
            guard let settled = own.sequence.settleGuess() else { continue }
            speculation.settle(settled, of: own.adapter, own: &own.repeats)
            running[index] = own
        }
    }

    /// Forgets all that was computed by a generation that is gone.
    mutating func forget(_ adapter: AdapterIdentity) {
        prefixes.drop(adapter)
        speculation.forget(adapter)
    }
}
