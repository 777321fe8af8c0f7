import DoraRuntime

/// This release, as `--version`, OpenAI's replies, metrics and the line protocol tell it, and as packages are called.
package enum Version {
    package static let current = "0.1.0"

    /// What `--version` prints: the release, and what it makes of this CPU.
    package static var report: String {
        let kernels = Processor.kernels
        let others = kernels.dropFirst().joined(separator: ", ")
        let features = Processor.features
        return """
            dora \(current)
            kernels: \(kernels.first ?? "none")\(others.isEmpty ? "" : " (also here: \(others))")
            CPU features: \(features.isEmpty ? "none that kernels ask for" : features.joined(separator: " "))
            """
    }
}
