#if canImport(Glibc)
import Glibc
#endif

/// The model that comes with the program.
package enum BundledModel {
    /// `models/base` beside the executable or in a folder above it, as in a built checkout; nil when there is none.
    package static func find() -> String? {
        guard let executable = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(executable) }
        var folder = String(cString: executable)[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            let model = folder + "/models/base"
            if access(model + "/config.json", R_OK) == 0 { return String(model) }
        }
        return nil
    }
}
