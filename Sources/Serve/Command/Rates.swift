package import DoraRuntime

#if canImport(Glibc)
import Glibc
#endif

extension Completion {
    /// Tokens a second after the first, which the prefill makes; nil when there was no further one.
    package var decodeRate: Double? {
        let steps = tokenIDs.count - 1
        return steps > 0 && decodeTime > .zero ? Double(steps) / decodeTime.seconds : nil
    }
}

/// e^x.
func exponential(_ x: Double) -> Double { exp(x) }

/// The most memory that this process has held, in bytes (`VmHWM`).
package func peakMemory() -> Int? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
        let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        if words.first == "VmHWM:", words.count > 1 { return Int(words[1]).map { $0 * 1024 } }
    }
    return nil
}
