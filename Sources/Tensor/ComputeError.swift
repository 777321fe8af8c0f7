/// What the machine could not give.
package enum ComputeError: Error, Equatable, CustomStringConvertible {
    case outOfMemory(byteCount: Int)
    case noThreads(Int)
    case unknownKernels(String, available: [String])

    package var description: String {
        switch self {
        case .outOfMemory(let byteCount):
            "out of memory: \(byteCount) bytes were refused; use a smaller model, --context or --weights"
        case .noThreads(let count): "\(count) threads could not be started; lower --threads"
        case .unknownKernels(let name, let available):
            "no kernels named '\(name)' on this CPU; there are: \(available.joined(separator: ", "))"
        }
    }
}
