/// First come, first served, but with turns: between connections, and within one between adapters. Whoever sends a
/// thousand requests delays another's one by at most one turn.
struct FairQueue<Adapter: Hashable, Element> {
    private var connections = Turns<Int, Turns<Adapter, [Element]>>()

    private(set) var count = 0
    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element, connection: Int, adapter: Adapter) {
        connections.update(connection, initially: Turns()) { adapters in
            adapters.update(adapter, initially: []) { $0.append(element) }
        }
        count += 1
    }

    /// The element whose turn is next.
    var first: Element? { connections.first?.first?.first }

    /// Takes the element whose turn it is.
    mutating func next() -> Element? {
        guard !isEmpty else { return nil }
        count -= 1
        let element = connections.takeTurn { adapters in
            let element = adapters.takeTurn { elements in
                let first = elements.removeFirst()
                return (first, isEmpty: elements.isEmpty)
            }
            return (element, isEmpty: adapters.isEmpty)
        }
        return element ?? nil
    }

    /// Takes out every element that `isWanted` picks.
    mutating func remove(where isWanted: (Element) -> Bool) -> [Element] {
        var removed: [Element] = []
        connections.filter { adapters in
            adapters.filter { elements in
                removed += elements.filter(isWanted)
                elements.removeAll(where: isWanted)
                return !elements.isEmpty
            }
            return !adapters.isEmpty
        }
        count -= removed.count
        return removed
    }
}

/// Keyed values that take turns; a value that has become empty leaves.
private struct Turns<Key: Hashable, Value> {
    private var order: [Key] = []
    private var values: [Key: Value] = [:]

    var isEmpty: Bool { order.isEmpty }
    var first: Value? { order.first.flatMap { values[$0] } }

    mutating func update(_ key: Key, initially: @autoclosure () -> Value, _ body: (inout Value) -> Void) {
        if values[key] == nil { order.append(key) }
        body(&values[key, default: initially()])
    }

    /// Gives the first its turn and puts it at the end.
    mutating func takeTurn<Result>(_ body: (inout Value) -> (Result, isEmpty: Bool)) -> Result? {
        guard let key = order.first, var value = values.removeValue(forKey: key) else { return nil }
        order.removeFirst()
        let (result, isEmpty) = body(&value)
        if !isEmpty {
            order.append(key)
            values[key] = value
        }
        return result
    }

    /// Keeps what `body` says.
    mutating func filter(_ body: (inout Value) -> Bool) {
        order.removeAll { key in
            guard var value = values.removeValue(forKey: key), body(&value) else { return true }
            values[key] = value
            return false
        }
    }
}
