package import Glibc

/// What the file system knows of what lies at a path.
package enum FileStatus {
    /// When it was changed last, in Unix time; 0 for nothing.
    package static func changed(_ path: String) -> Int { time(path).tv_sec }

    /// The same to the nanosecond.
    package static func time(_ path: String) -> timespec {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mtim : timespec()
    }

    package static func isSocket(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
    }
}
