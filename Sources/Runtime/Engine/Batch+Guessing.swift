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
        var room = pass.chunk - shares.reduce(0) { $0 + $1.count }
        var guessing: [Int] = []
        for (index, _) in able {
            var own = running[index]
            let rows = speculation.guess(
                &own.sequence, of: own.adapter, own: &own.repeats, atMost: room, besides: able.count)
            running[index] = own
            room -= rows
            if rows > 0 { guessing.append(index) }
        }
        return guessing
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
