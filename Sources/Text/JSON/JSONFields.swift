/// The members of a JSON object in a file, asked for by key: an answer of the wrong kind is a `LoadError` that
/// names the file and the key. Null counts as absent, as it does for the Python classes that these files feed.
package struct JSONFields: Sendable {
    package let file: String
    package let object: JSONObject
    private let prefix: String

    package init(_ object: JSONObject, file: String, prefix: String = "") {
        self.object = object
        self.file = file
        self.prefix = prefix
    }

    /// A configuration, which Python may have written.
    /// - Throws: `LoadError` `.malformed` when the bytes are not one JSON object.
    package init(parsing bytes: [UInt8], file: String) throws(LoadError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, allowsNonFinite: true)
        } catch {
            throw LoadError(.malformed, file: file, "\(error)", advice: "write the file again")
        }
        guard let object = value.object else {
            throw LoadError(
                .malformed, file: file, field: "document", expected: "an object", found: "\(value)")
        }
        self.init(object, file: file)
    }

    /// The value under `key` unless it is null.
    package subscript(key: String) -> JSONValue? {
        object[key].flatMap { $0 == .null ? nil : $0 }
    }

    package func int(_ key: String, in range: ClosedRange<Int>) throws(LoadError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let int = value.int, range.contains(int) else {
            throw mismatch(key, expected: "an integer from \(range.lowerBound) to \(range.upperBound)", value)
        }
        return int
    }

    package func requiredInt(_ key: String, in range: ClosedRange<Int>) throws(LoadError) -> Int {
        guard let int = try int(key, in: range) else { throw missing(key) }
        return int
    }

    /// A finite number.
    package func double(_ key: String) throws(LoadError) -> Double? {
        guard let value = self[key] else { return nil }
        guard let double = value.double, double.isFinite else {
            throw mismatch(key, expected: "a finite number", value)
        }
        return double
    }

    /// A finite number above zero.
    package func positiveDouble(_ key: String) throws(LoadError) -> Double? {
        guard let double = try double(key) else { return nil }
        guard double > 0 else {
            throw LoadError(
                .malformed, file: file, field: path(key), expected: "a number above 0", found: "\(double)")
        }
        return double
    }

    package func bool(_ key: String) throws(LoadError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard let bool = value.bool else { throw mismatch(key, expected: "true or false", value) }
        return bool
    }

    package func string(_ key: String) throws(LoadError) -> String? {
        guard let value = self[key] else { return nil }
        guard let string = value.string else { throw mismatch(key, expected: "a string", value) }
        return string
    }

    package func strings(_ key: String) throws(LoadError) -> [String]? {
        guard let value = self[key] else { return nil }
        guard let array = value.array else { throw mismatch(key, expected: "an array of strings", value) }
        var strings: [String] = []
        for element in array {
            guard let string = element.string else {
                throw mismatch(key, expected: "an array of strings", element)
            }
            strings.append(string)
        }
        return strings
    }

    /// One integer or an array of them.
    package func ints(_ key: String, in range: ClosedRange<Int>) throws(LoadError) -> [Int]? {
        guard let value = self[key] else { return nil }
        var ints: [Int] = []
        for element in value.array ?? [value] {
            guard let int = element.int, range.contains(int) else {
                throw mismatch(
                    key, expected: "integers from \(range.lowerBound) to \(range.upperBound)", element)
            }
            ints.append(int)
        }
        return ints
    }

    /// A nested object; its keys are named `key.inner` in errors.
    package func fields(_ key: String) throws(LoadError) -> JSONFields? {
        guard let value = self[key] else { return nil }
        guard let object = value.object else { throw mismatch(key, expected: "an object", value) }
        return JSONFields(object, file: file, prefix: path(key) + ".")
    }

    /// The key as errors name it.
    package func path(_ key: String) -> String { prefix + key }

    package func missing(_ key: String) -> LoadError {
        LoadError(.malformed, file: file, field: path(key), "the key is missing", advice: "add it")
    }

    package func unsupported(_ key: String, _ problem: String, advice: String) -> LoadError {
        LoadError(.unsupported, file: file, field: path(key), problem, advice: advice)
    }

    package func mismatch(_ key: String, expected: String, _ value: JSONValue) -> LoadError {
        LoadError(.malformed, file: file, field: path(key), expected: expected, found: "\(value)")
    }
}
