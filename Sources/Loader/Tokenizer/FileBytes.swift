import Glibc

/// Whole small files as bytes.
enum FileBytes {
    /// The bytes of the file at `path`, or nil if there is no such file.
    static func read(_ path: String) throws(LoadError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure(path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw LoadError(.malformed, file: path, "expected a regular file")
        }
        var complete = true
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = Glibc.read(
                    descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
                if got <= 0 { break }
                count += got
            }
            complete = count == buffer.count
        }
        guard complete else { throw failure(path) }
        return bytes
    }

    private static func failure(_ path: String) -> LoadError {
        LoadError(.missing, file: path, "cannot be read: \(String(cString: strerror(errno)))")
    }
}
