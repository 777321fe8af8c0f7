extension JSONValue {
    package static func int(_ value: Int) -> JSONValue { .number(JSONNumber(text: "\(value)")) }
}

/// Objects made of others: the order of members is kept.
extension JSONObject {
    /// Of keys that stand twice, the first counts.
    package init(_ members: [(key: String, value: JSONValue)]) {
        self.init()
        for (key, value) in members { _ = append(key, value) }
    }

    /// With `value` where the key's own stands, else at the end.
    package func with(_ key: String, _ value: JSONValue) -> JSONObject {
        if self[key] == nil { return JSONObject(members + [(key, value)]) }
        return JSONObject(
            members.map { member in
                (member.key, member.key.utf8.elementsEqual(key.utf8) ? value : member.value)
            })
    }

    package func without(_ keys: String...) -> JSONObject {
        JSONObject(members.filter { member in !keys.contains { $0.utf8.elementsEqual(member.key.utf8) } })
    }
}
