#if canImport(Glibc)
import Glibc
#endif

/// An amount of memory: bytes (`4GiB`, `512MB`, `1000000`) or a share (`25%`) of what is free.
package enum MemorySize: Equatable, Sendable {
    case bytes(Int)
    case percent(Double)

    package init?(_ text: String) {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard let value = Double(number), value >= 0 else { return nil }
        let units: [String: Double] = [
            "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1024, "mib": 1_048_576,
            "gib": 1_073_741_824,
        ]
        let unit = text.dropFirst(number.count).lowercased()
        if unit == "%" {
            guard value <= 100 else { return nil }
            self = .percent(value)
        } else {
            guard let factor = units[unit], value * factor < 9e18 else { return nil }
            self = .bytes(Int(value * factor))
        }
    }

    /// - Parameter free: bytes of which a percentage is taken.
    func bytes(ofFree free: Int) -> Int {
        switch self {
        case .bytes(let count): count
        case .percent(let share): Int(Double(free) * share / 100)
        }
    }

    /// Memory that this machine can still give (`MemAvailable`), within its control group's limit (v2).
    static func free() -> Int {
        let available = number(after: "MemAvailable:", in: "/proc/meminfo").map { $0 * 1024 } ?? 1 << 30
        guard let limit = number(after: nil, in: "/sys/fs/cgroup/memory.max"),
            let used = number(after: nil, in: "/sys/fs/cgroup/memory.current")
        else { return available }
        return min(available, max(0, limit - used))
    }

    private static func number(after label: String?, in path: String) -> Int? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                .split(whereSeparator: \.isWhitespace)
            guard let label else { return words.first.flatMap { Int($0) } }
            if words.first.map(String.init) == label, words.count > 1 { return Int(words[1]) }
        }
        return nil
    }
}
