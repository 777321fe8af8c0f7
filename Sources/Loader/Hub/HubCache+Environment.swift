import Glibc

extension HubCache {
    /// Where huggingface_hub keeps its files with these variables. Source: its `constants.py`.
    package init(environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let home = value("HF_HOME") ?? (value("XDG_CACHE_HOME") ?? "~/.cache") + "/huggingface"
        let path = value("HF_HUB_CACHE") ?? value("HUGGINGFACE_HUB_CACHE") ?? home + "/hub"
        self.init(Self.expanded(path, environment))
    }

    /// As Python's `expanduser` and `expandvars`: a leading `~`, `$NAME` and `${NAME}`; unknown names stay.
    private static func expanded(_ path: String, _ environment: [String: String]) -> String {
        var text = path
        if text == "~" || text.hasPrefix("~/"), let home = home(environment) {
            text = home + text.dropFirst()
        }
        guard let dollar = text.firstIndex(of: "$") else { return text }
        var result = String(text[..<dollar])
        var rest = text[dollar...]
        while let first = rest.first {
            guard first == "$" else {
                let plain = rest.prefix { $0 != "$" }
                result += plain
                rest = rest[plain.endIndex...]
                continue
            }
            let isBraced = rest.dropFirst().first == "{"
            let name = rest.dropFirst(isBraced ? 2 : 1).prefix {
                $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")
            }
            let end =
                isBraced && rest[name.endIndex...].first == "}"
                ? rest.index(after: name.endIndex) : name.endIndex
            result += environment[String(name)] ?? String(rest[..<end])
            rest = rest[end...]
        }
        return result
    }

    /// A service may run without `HOME`.
    static func home(_ environment: [String: String]) -> String? {
        if let home = environment["HOME"], !home.isEmpty { return home }
        return getpwuid(getuid()).flatMap { $0.pointee.pw_dir.map { String(cString: $0) } }
    }
}
