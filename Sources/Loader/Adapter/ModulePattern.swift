/// A regular expression from an adapter's configuration, matched against module names.
///
/// Such patterns are Python's and come from strangers. A backtracking engine can be made to run for years by a
/// short one, so this matcher walks all paths of the pattern at once: time grows with pattern × name, never faster.
struct ModulePattern: Sendable {
    typealias Failure = PatternParser.Failure

    private enum Instruction: Sendable {
        case scalar(PatternScalars)
        case split(Int, Int)
        case jump(Int)
        case assertion(PatternSyntax.Assertion)
        case look(program: Int, behind: Bool, negated: Bool)
        case accept
    }

    /// Counted repeats are unrolled; this bounds what nested ones can grow to.
    private static let maximumInstructions = 10_000

    /// Program 0 is the pattern; the others are its look-arounds.
    private var programs: [[Instruction]] = [[]]
    private var instructionCount = 0

    init(_ pattern: String) throws(Failure) {
        let syntax = try PatternParser.parse(pattern)
        try compile(syntax, into: 0)
        try append(.accept, to: 0)
    }

    /// `re.fullmatch(pattern, name)`
    func matchesWhole(_ name: String) -> Bool {
        matches(name, whole: true)
    }

    /// `re.match(pattern, name)`
    func matchesStart(of name: String) -> Bool {
        matches(name, whole: false)
    }
}

extension ModulePattern {
    private mutating func append(_ instruction: Instruction, to program: Int) throws(Failure) {
        instructionCount += 1
        guard instructionCount <= Self.maximumInstructions else {
            throw Failure(problem: "its repeats make it too large")
        }
        programs[program].append(instruction)
    }

    private mutating func compile(_ syntax: PatternSyntax, into program: Int) throws(Failure) {
        switch syntax {
        case .scalars(let set): try append(.scalar(set), to: program)
        case .sequence(let items):
            for item in items { try compile(item, into: program) }
        case .alternatives(let branches): try compile(alternatives: branches, into: program)
        case .repeated(let item, let minimum, let maximum):
            for _ in 0..<minimum { try compile(item, into: program) }
            if let maximum {
                try compile(optional: item, times: maximum - minimum, into: program)
            } else {
                let start = programs[program].count
                try append(.accept, to: program)  // becomes the split
                try compile(item, into: program)
                try append(.jump(start), to: program)
                programs[program][start] = .split(start + 1, programs[program].count)
            }
        case .assertion(let assertion): try append(.assertion(assertion), to: program)
        case .look(let inner, let behind, let negated):
            programs.append([])
            let number = programs.count - 1
            try compile(inner, into: number)
            try append(.accept, to: number)
            try append(.look(program: number, behind: behind, negated: negated), to: program)
        }
    }

    private mutating func compile(alternatives: [PatternSyntax], into program: Int) throws(Failure) {
        var jumps: [Int] = []
        for (index, branch) in alternatives.enumerated() {
            let start = programs[program].count
            let isLast = index == alternatives.count - 1
            if !isLast { try append(.accept, to: program) }  // becomes the split
            try compile(branch, into: program)
            guard !isLast else { break }
            jumps.append(programs[program].count)
            try append(.accept, to: program)  // becomes the jump behind the last branch
            programs[program][start] = .split(start + 1, programs[program].count)
        }
        for jump in jumps { programs[program][jump] = .jump(programs[program].count) }
    }

    private mutating func compile(
        optional item: PatternSyntax, times: Int, into program: Int
    ) throws(Failure) {
        var splits: [Int] = []
        for _ in 0..<times {
            splits.append(programs[program].count)
            try append(.accept, to: program)  // becomes the split
            try compile(item, into: program)
        }
        for split in splits { programs[program][split] = .split(split + 1, programs[program].count) }
    }
}

extension ModulePattern {
    private func matches(_ name: String, whole: Bool) -> Bool {
        var run = Run(programs: programs, text: Array(name.unicodeScalars))
        return run.ends(of: 0, from: 0).contains { !whole || $0 == run.text.count }
    }

    /// One match in progress.
    private struct Run {
        let programs: [[Instruction]]
        let text: [UnicodeScalar]
        /// Where look-around `program` can end when it starts at a position: computed once for each.
        private var known: [[Int]: [Int]] = [:]

        init(programs: [[Instruction]], text: [UnicodeScalar]) {
            self.programs = programs
            self.text = text
        }

        /// All positions at which a match of `program` that starts at `start` can end.
        mutating func ends(of program: Int, from start: Int) -> [Int] {
            if let ends = known[[program, start]] { return ends }
            let code = programs[program]
            var ends: [Int] = []
            var states = [0]
            for position in start...text.count {
                var seen = [Bool](repeating: false, count: code.count)
                var next: [Int] = []
                // Follows every path that consumes nothing, then one scalar of those that do.
                while let state = states.popLast() {
                    if seen[state] { continue }
                    seen[state] = true
                    switch code[state] {
                    case .scalar(let set):
                        if position < text.count, set.contains(text[position]) { next.append(state + 1) }
                    case .split(let first, let second): states += [second, first]
                    case .jump(let target): states.append(target)
                    case .assertion(let assertion):
                        if holds(assertion, at: position) { states.append(state + 1) }
                    case .look(let inner, let behind, let negated):
                        if looks(inner, behind: behind, at: position) != negated { states.append(state + 1) }
                    case .accept:
                        if ends.last != position { ends.append(position) }
                    }
                }
                if next.isEmpty { break }
                states = next
            }
            known[[program, start]] = ends
            return ends
        }

        private mutating func looks(_ program: Int, behind: Bool, at position: Int) -> Bool {
            guard behind else { return !ends(of: program, from: position).isEmpty }
            for start in 0...position where ends(of: program, from: start).contains(position) { return true }
            return false
        }

        private func holds(_ assertion: PatternSyntax.Assertion, at position: Int) -> Bool {
            func isWord(_ index: Int) -> Bool {
                text.indices.contains(index) && PatternScalars.word.contains(text[index])
            }
            switch assertion {
            case .start: return position == 0
            case .end: return position == text.count
            case .wordBoundary: return isWord(position - 1) != isWord(position)
            case .noWordBoundary: return isWord(position - 1) == isWord(position)
            }
        }
    }
}
