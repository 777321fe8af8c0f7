/// One JSON object of a tokenizer file with the way to it, so that each complaint names file and field.
struct JSONComponent {
    let file: String
    /// Where the object stands, as in `normalizer.normalizers[1]`; empty for the document itself.
    let path: String
    let object: JSONObject

    init(_ value: JSONValue, file: String, path: String) throws(LoadError) {
        guard let object = value.object else {
            throw LoadError(.malformed, file: file, field: path, expected: "an object", found: "\(value)")
        }
        self.file = file
        self.path = path
        self.object = object
    }

    /// A whole document.
    init(parsing bytes: [UInt8], file: String) throws(LoadError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw LoadError(.malformed, file: file, "\(error)")
        }
        try self.init(value, file: file, path: "")
    }

    func field(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    func error(_ code: LoadError.Code, _ key: String, expected: String, advice: String? = nil) -> LoadError {
        LoadError(
            code, file: file, field: field(key), expected: expected,
            found: object[key].map { "\($0)" } ?? "nothing", advice: advice)
    }

    func unsupported(_ key: String, _ problem: String) -> LoadError {
        LoadError(.unsupported, file: file, field: field(key), problem)
    }

    func string(_ key: String) throws(LoadError) -> String {
        guard let value = object[key]?.string else { throw error(.malformed, key, expected: "a string") }
        return value
    }

    func bytes(_ key: String) throws(LoadError) -> [UInt8] { Array(try string(key).utf8) }

    /// A string of exactly one Unicode scalar, as UTF-8.
    func scalar(_ key: String) throws(LoadError) -> [UInt8] {
        let value = try string(key)
        guard value.unicodeScalars.count == 1 else {
            throw error(.malformed, key, expected: "a string of one character")
        }
        return Array(value.utf8)
    }

    func bool(_ key: String) throws(LoadError) -> Bool {
        guard let value = object[key]?.bool else { throw error(.malformed, key, expected: "true or false") }
        return value
    }

    /// As `bool(_:)`, with a value for a key that is absent or null.
    func bool(_ key: String, absent: Bool) throws(LoadError) -> Bool {
        switch object[key] {
        case nil, .null: absent
        default: try bool(key)
        }
    }

    func count(_ key: String) throws(LoadError) -> Int {
        guard let value = object[key]?.int, (0...Int(UInt32.max)).contains(value) else {
            throw error(.malformed, key, expected: "a whole number of at least 0")
        }
        return value
    }

    func component(_ key: String) throws(LoadError) -> JSONComponent {
        try JSONComponent(object[key] ?? .null, file: file, path: field(key))
    }

    /// The elements of an array of objects.
    func components(_ key: String) throws(LoadError) -> [JSONComponent] {
        guard let values = object[key]?.array else { throw error(.malformed, key, expected: "an array") }
        var components: [JSONComponent] = []
        for (index, value) in values.enumerated() {
            components.append(try JSONComponent(value, file: file, path: "\(field(key))[\(index)]"))
        }
        return components
    }
}
