#if canImport(Glibc)
import Glibc
#endif

/// The model that comes with the program.
package enum BundledModel {
    /// `models/base` beside the executable or in a folder above it, as in a built checkout, or in `share/dora` of such a
    /// folder, as installed (`/usr/bin` and `/usr/share/dora`); nil when there is none.
    package static func find() -> String? {
        guard let executable = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(executable) }
        return find(above: String(cString: executable))
    }

    /// - Parameter executable: its absolute path.
    static func find(above executable: String) -> String? {
        var folder = executable[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            for place in ["/models/base", "/share/dora/models/base"] {
                let model = folder + place
                if access(model + "/config.json", R_OK) == 0 { return String(model) }
            }
        }
        return nil
    }
}
