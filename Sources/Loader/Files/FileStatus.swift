package import Glibc

/// What the file system knows of what lies at a path.
package enum FileStatus {
    package enum Kind: Sendable {
        case file
        case folder
        case socket
        /// A pipe, a device.
        case other

        fileprivate init(_ status: stat) {
            switch status.st_mode & S_IFMT {
            case S_IFREG: self = .file
            case S_IFDIR: self = .folder
            case S_IFSOCK: self = .socket
            default: self = .other
            }
        }
    }

    /// Nil if there is nothing.
    package static func kind(_ path: String) -> Kind? {
        var status = stat()
        return stat(path, &status) == 0 ? Kind(status) : nil
    }

    /// Nil if it is not open.
    package static func kind(descriptor: Int32) -> Kind? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Kind(status) : nil
    }

    /// When it was changed last, in Unix time; 0 for nothing.
    package static func changed(_ path: String) -> Int { time(path).tv_sec }

    /// The same to the nanosecond.
    package static func time(_ path: String) -> timespec {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mtim : timespec()
    }
}
