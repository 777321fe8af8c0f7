import DoraRuntime

/// Prometheus' text format, version 0.0.4: every name with its help and type, then its series.
struct MetricsText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    enum Kind: String { case counter, gauge, histogram }
    typealias Labels = [(name: String, value: String)]

    private(set) var text = ""

    mutating func counter(_ name: String, _ help: String, _ value: Int, _ labels: Labels = []) {
        metric(name, help, .counter, [(labels, Double(value))])
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Double, _ labels: Labels = []) {
        metric(name, help, .gauge, [(labels, value)])
    }

    /// - Parameter series: each with other labels.
    mutating func metric(
        _ name: String, _ help: String, _ kind: Kind, _ series: [(labels: Labels, value: Double)]
    ) {
        head(name, help, kind)
        for (labels, value) in series { sample(name, labels, Self.spell(value)) }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram, _ labels: Labels = []) {
        head(name, help, .histogram)
        for (bound, count) in zip(Histogram.bounds, histogram.cumulative) {
            sample(name + "_bucket", labels + [("le", Self.spell(bound))], "\(count)")
        }
        sample(name + "_bucket", labels + [("le", "+Inf")], "\(histogram.count)")
        sample(name + "_sum", labels, Self.spell(histogram.sum))
        sample(name + "_count", labels, "\(histogram.count)")
    }

    private mutating func head(_ name: String, _ help: String, _ kind: Kind) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func sample(_ name: String, _ labels: Labels, _ value: String) {
        text += name
        if !labels.isEmpty {
            let parts = labels.map { "\($0.name)=\"\(Self.escape($0.value))\"" }
            text += "{\(parts.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    /// Integers without a fraction, as counters are read by people too.
    private static func spell(_ value: Double) -> String {
        Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    private static func escape(_ value: String) -> String {
        value.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
