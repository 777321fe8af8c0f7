import DoraText
import FoundationEssentials
import Testing

/// What openai-python's types say of objects, as `Tests/Fixtures/make/openai_shapes.py` writes it: the part of JSON
/// schemas that they use.
struct OpenAIShapes {
    private let objects: JSONObject
    private let definitions: JSONObject

    init() throws {
        let file = try Data(contentsOf: URL(filePath: TestServer.fixtures + "/openai/shapes.json"))
        let root = try #require(try JSONValue(parsing: Array(file)).object)
        objects = try #require(root["objects"]?.object)
        definitions = try #require(root["definitions"]?.object)
    }

    /// Where a value is not what its `object` says it is.
    func flaws(_ object: JSONObject) -> [String] {
        guard let schema = object["object"]?.string.flatMap({ objects[$0]?.object }) else {
            return ["object"]
        }
        return flaws(.object(object), schema, "")
    }

    private func flaws(_ value: JSONValue, _ schema: JSONObject, _ path: String) -> [String] {
        if let name = schema["$ref"]?.string {
            return definitions[name]?.object.map { flaws(value, $0, path) } ?? [path]
        }
        if let options = schema["anyOf"]?.array?.compactMap(\.object) {
            let found = options.map { flaws(value, $0, path) }
            if found.contains([]) { return [] }
            // The most telling: of a value that is there, what is wrong inside.
            return found.max { ($0.first?.utf8.count ?? 0) < ($1.first?.utf8.count ?? 0) } ?? [path]
        }
        if let allowed = schema["enum"]?.array, !allowed.contains(value) { return [path] }
        if let only = schema["const"], only != value { return [path] }
        switch (schema["type"]?.string, value) {
        case ("object", .object(let object)): return members(object, schema, path)
        case ("array", .array(let elements)):
            guard let item = schema["items"]?.object else { return [] }
            return elements.enumerated().flatMap { flaws($1, item, "\(path)[\($0)]") }
        case ("integer", .number(let number)): return number.text.contains(".") ? [path] : []
        case ("number", .number), ("string", .string), ("boolean", .bool), ("null", .null), (nil, _):
            return []
        default: return [path]
        }
    }

    private func members(_ object: JSONObject, _ schema: JSONObject, _ path: String) -> [String] {
        let missing = (schema["required"]?.array ?? []).compactMap(\.string).filter { object[$0] == nil }
        var found = missing.map { "\(path).\($0)" }
        for (name, value) in object.members {
            let own = schema["properties"]?.object?[name]?.object ?? schema["additionalProperties"]?.object
            if let own { found += flaws(value, own, "\(path).\(name)") }
        }
        return found
    }
}
