/// This release, as `--version`, OpenAI's replies, metrics and the line protocol tell it.
package enum Version {
    package static let current = "0.1.0"
}
