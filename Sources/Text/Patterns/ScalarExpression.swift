/// A regular expression in the syntax and with the meaning that the reference gives it (Oniguruma's Ruby syntax
/// on Unicode scalars), matched by backtracking. Swift's own `Regex` differs in `^ $ . \h \w` and in case
/// folding, cannot be shared between threads, and is an order of magnitude slower.
struct ScalarExpression: Sendable {
    /// Why an expression is refused.
    struct Problem: Error {
        let code: LoadError.Code
        let problem: String
    }

    enum Instruction: Sendable {
        case one(ScalarSet)
        /// As many scalars as `Repeat` allows, as a loop of its own: it needs one backtracking entry, not one
        /// per scalar.
        case run(ScalarSet, Repeat)
        /// Goes on at the first, or if that fails at the second.
        case split(Int, Int)
        case jump(Int)
        /// Runs the instructions up to their `accept` without moving; goes on at `next` if that gives `expected`.
        case look(expected: Bool, next: Int)
        /// As `look`, so many scalars further back.
        case lookBehind(scalars: Int, expected: Bool, next: Int)
        /// Runs the instructions up to their `accept`, moves, and never tries them otherwise.
        case atomic(next: Int)
        case lineStart, lineEnd, textStart, textEnd
        case accept
    }

    struct Repeat: Sendable {
        enum Mode: Sendable {
            case greedy, lazy, possessive
        }
        var least: Int
        var most: Int
        var mode: Mode
    }

    private let program: [Instruction]

    init(_ source: String) throws(Problem) {
        let node = try ScalarExpressionParser.parse(source)
        var compiler = ScalarExpressionCompiler()
        try compiler.compile(node)
        program = compiler.finished
    }

    /// The first match in `bytes[range]` that begins at `start` or later, the first alternative that matches
    /// there. `start` may be the end of the range.
    func firstMatch(in bytes: [UInt8], _ range: Range<Int>, from start: Int) -> Range<Int>? {
        let matcher = Matcher(program: program, bytes: bytes, range: range)
        var index = start
        while index <= range.upperBound {
            if let end = matcher.run(from: 0, at: index) { return index..<end }
            if index == range.upperBound { break }
            index += UTF8Bytes.length(lead: bytes[index])
        }
        return nil
    }
}

private struct Matcher {
    let program: [ScalarExpression.Instruction]
    let bytes: [UInt8]
    let range: Range<Int>

    /// A place to go on from when all else has failed; with a set, one scalar further (`step` 1) or less far
    /// (`step` -1), as long as `bound` is not reached.
    private struct Choice {
        var instruction: Int
        var index: Int
        var step = 0
        var bound = 0
        var set: ScalarSet?
    }

    /// The end of the match of the instructions from `first` up to `accept`.
    func run(from first: Int, at start: Int) -> Int? {
        var choices: [Choice] = []
        var instruction = first
        var index = start
        while true {
            if case .accept = program[instruction] { return index }
            if let (next, place) = step(instruction, index, &choices) {
                (instruction, index) = (next, place)
            } else if let (next, place) = resume(&choices) {
                (instruction, index) = (next, place)
            } else {
                return nil
            }
        }
    }

    /// Executes one instruction; nil if it fails.
    private func step(_ instruction: Int, _ index: Int, _ choices: inout [Choice]) -> (Int, Int)? {
        let next = instruction + 1
        switch program[instruction] {
        case .one(let set): return after(index, set).map { (next, $0) }
        case .run(let set, let limits): return loop(set, limits, next, index, &choices).map { (next, $0) }
        case .split(let first, let second):
            choices.append(Choice(instruction: second, index: index))
            return (first, index)
        case .jump(let target): return (target, index)
        case .look(let expected, let after):
            return (run(from: next, at: index) != nil) == expected ? (after, index) : nil
        case .lookBehind(let scalars, let expected, let after):
            let found = back(scalars, from: index).flatMap { run(from: next, at: $0) } != nil
            return found == expected ? (after, index) : nil
        case .atomic(let after): return run(from: next, at: index).map { (after, $0) }
        case .lineStart:
            let holds = index == range.lowerBound || (bytes[index - 1] == 0x0A && index < range.upperBound)
            return holds ? (next, index) : nil
        case .lineEnd: return index == range.upperBound || bytes[index] == 0x0A ? (next, index) : nil
        case .textStart: return index == range.lowerBound ? (next, index) : nil
        case .textEnd: return index == range.upperBound ? (next, index) : nil
        case .accept: return nil
        }
    }

    /// The index after the scalar at `index`, if it is in the set.
    private func after(_ index: Int, _ set: ScalarSet) -> Int? {
        guard index < range.upperBound else { return nil }
        let (value, length) = UTF8Bytes.scalar(in: bytes, at: index)
        return set.contains(value) ? index + length : nil
    }

    private func back(_ scalars: Int, from index: Int) -> Int? {
        var index = index
        for _ in 0..<scalars {
            guard index > range.lowerBound else { return nil }
            index = UTF8Bytes.start(before: index, in: bytes)
        }
        return index
    }

    private func loop(
        _ set: ScalarSet, _ limits: ScalarExpression.Repeat, _ next: Int, _ start: Int,
        _ choices: inout [Choice]
    ) -> Int? {
        var index = start
        var count = 0
        while count < limits.least {
            guard let following = after(index, set) else { return nil }
            index = following
            count += 1
        }
        if limits.mode == .lazy {
            let more = limits.most == .max ? Int.max : limits.most - count
            choices.append(Choice(instruction: next, index: index, step: 1, bound: more, set: set))
            return index
        }
        let least = index
        while count < limits.most, let following = after(index, set) {
            index = following
            count += 1
        }
        if limits.mode == .greedy, index > least {
            choices.append(Choice(instruction: next, index: index, step: -1, bound: least))
        }
        return index
    }

    /// Takes the youngest choice that is left.
    private func resume(_ choices: inout [Choice]) -> (Int, Int)? {
        while var choice = choices.popLast() {
            if choice.step == 0 { return (choice.instruction, choice.index) }
            if choice.step < 0 {
                choice.index = UTF8Bytes.start(before: choice.index, in: bytes)
                if choice.index > choice.bound { choices.append(choice) }
                return (choice.instruction, choice.index)
            }
            if choice.bound > 0, let set = choice.set, let following = after(choice.index, set) {
                choice.index = following
                choice.bound -= 1
                choices.append(choice)
                return (choice.instruction, choice.index)
            }
        }
        return nil
    }
}
