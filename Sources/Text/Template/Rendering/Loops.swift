extension Renderer {
    func runLoop(_ loop: ForLoop, _ frame: Frame) throws {
        let sequence = try evaluate(loop.sequence, frame)
        let elements = try at(loop.sequence.line, loop.sequence.range) { try self.elements(of: sequence) }
        if loop.isRecursive {
            // The body is a function, and its text is written when it is whole.
            try write(captured { try run(loop, over: elements, frame, depth: 0) })
        } else {
            try run(loop, over: elements, frame, depth: 0)
        }
    }

    /// `loop(…)` in a recursive loop.
    func recurse(_ state: LoopState, _ arguments: CallArguments) throws -> TemplateValue {
        let sequence = try arguments.positionalOnly(1...1, "loop")[0]
        guard state.loop.isRecursive, let frame = state.frame else {
            throw Failure.type("The loop must have the 'recursive' marker to be called recursively.")
        }
        if state.depth + 1 > budget.limits.macroDepth {
            throw Failure.limit("loops recurse more than \(budget.limits.macroDepth) deep")
        }
        let elements = try self.elements(of: sequence)
        return .string(try captured { try run(state.loop, over: elements, frame, depth: state.depth + 1) })
    }

    private func run(_ loop: ForLoop, over elements: [TemplateValue], _ frame: Frame, depth: Int) throws {
        let state = LoopState(loop, over: elements, in: frame, depth: depth)
        defer { state.frame = nil }
        // As jinja2: `else` also follows where no round came to its end, but all broke off or were cut short.
        var isCompleted = false
        while let element = try pull(state) {
            state.index0 += 1
            state.before = state.current
            state.current = element
            let body = enter(loop.bodyScope, parent: frame)
            try store(.loop(state), loop.loopName, body)
            try at(loop.sequence.line, loop.sequence.range) {
                try budget.charge()
                try assign(element, loop.target, body)
            }
            let flow = try run(loop.body, body)
            if flow == .breaks { break }
            if flow == .next { isCompleted = true }
        }
        if !isCompleted, !loop.otherwise.isEmpty {
            _ = try run(loop.otherwise, enter(loop.otherwiseScope, parent: frame))
        }
    }

    /// The next element that passes the loop's test.
    private func pull(_ state: LoopState) throws -> TemplateValue? {
        guard state.aheadStart < state.ahead.count else { return try advance(state) }
        state.aheadStart += 1
        let next = state.ahead[state.aheadStart - 1]
        if state.aheadStart == state.ahead.count {
            state.ahead.removeAll(keepingCapacity: true)
            state.aheadStart = 0
        }
        return next
    }

    private func advance(_ state: LoopState) throws -> TemplateValue? {
        while state.position < state.elements.count {
            let element = state.elements[state.position]
            state.position += 1
            guard let test = state.loop.test, let outer = state.frame else { return element }
            let frame = enter(state.loop.testScope, parent: outer)
            try at(state.loop.sequence.line, state.loop.sequence.range) {
                try budget.charge()
                try assign(element, state.loop.target, frame)
            }
            if try evaluate(test, frame).isTrue { return element }
        }
        return nil
    }

    private func peek(_ state: LoopState) throws -> TemplateValue? {
        if state.ahead.isEmpty, let next = try advance(state) { state.ahead.append(next) }
        return state.ahead.isEmpty ? nil : state.ahead[state.aheadStart]
    }

    private func length(_ state: LoopState) throws -> Int {
        if let length = state.knownLength { return length }
        while let next = try advance(state) { state.ahead.append(next) }
        let length = state.ahead.count - state.aheadStart + state.index0 + 1
        state.knownLength = length
        return length
    }

    func length(of state: LoopState) throws -> Int { try length(state) }

    /// `loop.index` and the others; nil for a name that loops do not have.
    func attribute(_ name: String, of state: LoopState) throws -> TemplateValue? {
        switch name {
        case "index": .int(state.index0 + 1)
        case "index0": .int(state.index0)
        case "first": .bool(state.index0 == 0)
        case "last": .bool(try peek(state) == nil)
        case "length": .int(try length(state))
        case "revindex": .int(try length(state) - state.index0)
        case "revindex0": .int(try length(state) - state.index0 - 1)
        case "depth": .int(state.depth + 1)
        case "depth0": .int(state.depth)
        case "previtem": state.before ?? .undefined("there is no previous item")
        case "nextitem": try peek(state) ?? .undefined("there is no next item")
        case "cycle", "changed": .callable(Callable(.method(receiver: .loop(state), name: name)))
        default: nil
        }
    }

    func callLoopMethod(_ name: String, _ state: LoopState, _ arguments: CallArguments) throws
        -> TemplateValue
    {
        let values = try arguments.positionalOnly(0...Int.max, name)
        if name == "cycle" {
            if values.isEmpty { throw Failure.type("no items for cycling given") }
            return values[max(state.index0, 0) % values.count]
        }
        if let last = state.lastChanged, last.count == values.count {
            var isSame = true
            for (a, b) in zip(last, values) where isSame { isSame = try equal(a, b) }
            if isSame { return .bool(false) }
        }
        if state.lastChanged == nil { changedLoops.append(state) }
        state.lastChanged = values
        return .bool(true)
    }

    // MARK: Iteration

    /// The elements that `for` and the filters walk over.
    func elements(of value: TemplateValue) throws -> [TemplateValue] {
        switch value {
        case .list(let list), .tuple(let list): return list.elements
        case .dict(let dict): return dict.keys
        case .view(let view):
            try budget.charge(view.dict.count)
            return view.elements
        case .string(let text), .markup(let text):
            try budget.charge(text.utf8.count)
            return text.unicodeScalars.map { .string(String($0)) }
        case .undefined: return []
        case .range(let range):
            try budget.charge(range.count)
            return range.elements
        case .generator(let generator):
            let rest = try generator.rest(self)
            try budget.charge(rest.count)
            return rest
        case .loop(let state):
            var rest: [TemplateValue] = []
            while let next = try pull(state) {
                state.index0 += 1
                state.before = state.current
                state.current = next
                rest.append(.tuple([next, value]))
            }
            return rest
        default: throw Failure.type("'\(value.typeName)' object is not iterable")
        }
    }

    /// Python's `len`.
    func length(_ value: TemplateValue) throws -> Int {
        switch value {
        case .string(let text), .markup(let text):
            try budget.charge(text.utf8.count >> 6)
            return text.codePointCount
        case .list(let list), .tuple(let list): return list.elements.count
        case .dict(let dict): return dict.count
        case .view(let view): return view.dict.count
        case .range(let range): return range.count
        case .undefined: return 0
        case .loop(let state): return try length(state)
        default: throw Failure.type("object of type '\(value.typeName)' has no len()")
        }
    }
}
