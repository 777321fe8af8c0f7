import ArgumentParser

/// The way in, for a program of this command alone and for one of several.
package enum GenerateProgram {
    /// - Parameter arguments: without the program's name; nil for those of this process.
    package static func main(_ arguments: [String]? = nil) async { await DoraGenerate.main(arguments) }
}
