import ArgumentParser

/// The way in.
package enum ExportProgram {
    /// - Parameter arguments: without the program's name; nil for those of this process.
    package static func main(_ arguments: [String]? = nil) { ExportCommand.main(arguments) }
}
