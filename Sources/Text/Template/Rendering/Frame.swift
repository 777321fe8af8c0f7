/// The variables of a scope that is being rendered. Macros keep the frame they were defined in, so that they see its
/// variables as they are when the macro is called.
final class Frame {
    let scope: Scope
    let parent: Frame?
    var values: [TemplateValue?]

    init(_ scope: Scope, parent: Frame?) {
        self.scope = scope
        self.parent = parent
        values = Array(repeating: nil, count: scope.initial.count)
    }
}

/// A macro, or the body of a call block, with the frame it was defined in.
final class Macro {
    let definition: MacroDefinition
    let name: String?
    let frame: Frame

    init(_ definition: MacroDefinition, name: String?, frame: Frame) {
        self.definition = definition
        self.name = name
        self.frame = frame
    }
}

/// What `loop` is in a loop's body.
final class LoopState {
    let elements: [TemplateValue]
    let loop: ForLoop
    /// The frame around the loop, for its test and for calling it again; nil when the loop is over, so that loops kept
    /// in variables hold no variables.
    var frame: Frame?
    /// How deep values nest in the loop's sequence.
    let nesting: Int
    let depth: Int
    var index0 = -1
    var position = 0
    /// Elements that passed the test before their turn, because something asked what comes.
    var ahead: [TemplateValue] = []
    var aheadStart = 0
    var current: TemplateValue?
    var before: TemplateValue?
    var lastChanged: [TemplateValue]?
    var knownLength: Int?

    init(_ loop: ForLoop, over elements: [TemplateValue], in frame: Frame, depth: Int) {
        nesting = (elements.lazy.map(\.depth).max() ?? 0) + 1
        self.loop = loop
        self.elements = elements
        self.frame = frame
        self.depth = depth
        if loop.test == nil { knownLength = elements.count }
    }
}

/// What a statement does to the loop around it.
enum Flow { case next, breaks, continues }

/// The values that a call passes.
struct CallArguments {
    var positional: [TemplateValue] = []
    var keywords: [(name: String, value: TemplateValue)] = []

    init(_ positional: [TemplateValue] = []) { self.positional = positional }

    /// The arguments in the order of the function's parameters, nil where absent.
    /// - Parameter required: how many of the first parameters must be given.
    func bound(to parameters: [String], required: Int = 0, _ function: String) throws -> [TemplateValue?] {
        if positional.count > parameters.count {
            throw Failure.type(
                "\(function)() takes at most \(parameters.count) argument(s) (\(positional.count) given)")
        }
        var values = positional.map(Optional.some)
        values += Array(repeating: nil, count: parameters.count - positional.count)
        for (name, value) in keywords {
            guard let place = parameters.firstIndex(of: name) else {
                throw Failure.type("\(function)() got an unexpected keyword argument '\(name)'")
            }
            if values[place] != nil {
                throw Failure.type("\(function)() got multiple values for argument '\(name)'")
            }
            values[place] = value
        }
        for place in 0..<required where values[place] == nil {
            throw Failure.type("\(function)() missing required argument: '\(parameters[place])'")
        }
        return values
    }

    func positionalOnly(_ range: ClosedRange<Int>, _ function: String) throws -> [TemplateValue] {
        if let keyword = keywords.first {
            throw Failure.type("\(function)() takes no keyword argument '\(keyword.name)'")
        }
        if !range.contains(positional.count) {
            throw Failure.type(
                "\(function)() takes \(range.lowerBound) to \(range.upperBound) arguments (\(positional.count) given)"
            )
        }
        return positional
    }
}
