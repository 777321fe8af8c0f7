import DoraTensor

/// The memory for what is kept of sequences, and what requests take of it at most.
struct StateBudget {
    let geometry: StateGeometry
    /// Most tokens of one step.
    let step: Int
    let bytes: Int

    /// What makes room looks through all blocks.
    private static let mostBlocks = 1 << 15

    init(geometry: StateGeometry, step: Int, bytes: Int) {
        self.geometry = geometry
        self.step = step
        self.bytes = min(bytes, Self.mostBlocks * geometry.blockBytes)
    }

    /// Blocks in all layers, if all were kept.
    var blocks: Int { bytes / geometry.blockBytes }

    /// Positions that the longest sequence has, at most `context`.
    func positions(atMost context: Int) -> Int {
        if reservation(positions: context).bytes() <= bytes { return context }
        // Of full blocks, the most that fit.
        var fitting = 0..<KeyValueGeometry.blocks(context)
        while fitting.count > 1 {
            let middle = fitting.lowerBound + fitting.count / 2
            let positions = middle * KeyValueGeometry.blockPositions
            let isIn = reservation(positions: positions).bytes() <= bytes
            fitting = isIn ? middle..<fitting.upperBound : fitting.lowerBound..<middle
        }
        return fitting.lowerBound * KeyValueGeometry.blockPositions
    }

    func reservation(positions: Int) -> StateReservation {
        StateReservation(geometry, positions: positions, step: step)
    }

    /// What a request takes.
    /// - Parameter context: most positions of a sequence.
    func reservation(_ work: EngineRequest.Work, context: Int) -> StateReservation {
        switch work {
        case .generate(let request):
            if let scored = request.scoredChoices { return reservation(.score(scored), context: context) }
            return reservation(positions: length(request, context: context))
        case .score(let request):
            var reservation = reservation(positions: request.promptPositions)
            reservation.branchBytes = request.width(in: self) * branchBytes(request)
            return reservation
        }
    }

    /// Of the sequence that a request makes. Who asks for as much as there is gets what memory holds, but one token at
    /// least.
    func length(_ request: GenerationRequest, context: Int) -> Int {
        let (sum, isHuge) = request.prompt.count.addingReportingOverflow(request.maximumTokens)
        return min(isHuge ? max(request.prompt.count + 1, positions(atMost: context)) : sum, context)
    }

    /// What a continuation takes beside the full blocks of the prompt. Where there are several, one may go back to any of
    /// its tokens.
    fileprivate func branchBytes(_ request: ScoreRequest) -> Int {
        let continuations = request.continuations ?? []
        let longest = continuations.map(\.count).max() ?? 1
        guard longest > 1 else { return 0 }
        let positions = request.prompt.count + longest - 1
        let own = KeyValueGeometry.blocks(positions) - request.prompt.count / KeyValueGeometry.blockPositions
        return geometry.groups.reduce(0) { sum, group in
            let most = continuations.count > 1 ? own : group.mostBlocks(positions: positions, step: step)
            return sum + min(own, most) * group.blockBytes
        }
    }
}

/// What one request takes of the memory for states, group by group.
struct StateReservation {
    private let geometry: StateGeometry
    private let positions: Int
    private let step: Int
    /// Of continuations, beside what their prompt takes.
    fileprivate(set) var branchBytes = 0

    init(_ geometry: StateGeometry, positions: Int, step: Int) {
        self.geometry = geometry
        self.positions = positions
        self.step = step
    }

    private func most(_ group: KeyValueGeometry, of count: Int? = nil) -> Int {
        group.mostBlocks(positions: min(count ?? positions, positions), step: step)
    }

    /// By group: whether the sequence keeps all that it ever has. Such blocks can be shared with others and paid for once.
    /// Where it gives blocks back, it pays for as many as it has at once, whoever else has them.
    var keeps: [Bool] {
        geometry.groups.map { most($0) == KeyValueGeometry.blocks(positions) }
    }

    /// - Parameters:
    ///   - count: the first positions that are meant; nil for all that there may be.
    ///   - shared: blocks that the sequence begins with and that are paid for already.
    ///   - isWhole: whether what it gives back some time is meant, too.
    func bytes(of count: Int? = nil, beginningWith shared: Int = 0, isWhole: Bool = true) -> Int {
        zip(geometry.groups, keeps).reduce(branchBytes) { sum, part in
            let (group, keeps) = part
            guard keeps || isWhole else { return sum }
            return sum + (most(group, of: count) - (keeps ? shared : 0)) * group.blockBytes
        }
    }
}

extension ScoreRequest {
    /// Of the prompt, as far as it is computed.
    var promptPositions: Int { continuations == nil ? prompt.count - 1 : prompt.count }

    /// How many branches to compute together: no more than there are, nor than fit in a quarter of all memory, so that
    /// others need not wait for theirs.
    func width(in budget: StateBudget) -> Int {
        let branch = budget.branchBytes(self)
        guard branch > 0 else { return 1 }
        let count = (continuations ?? []).count { $0.count > 1 }
        let prompt = budget.reservation(positions: promptPositions).bytes()
        let room = max(1, (budget.bytes / 4 - prompt) / branch)
        return min(room, count, RunningScore.mostBranches)
    }
}
