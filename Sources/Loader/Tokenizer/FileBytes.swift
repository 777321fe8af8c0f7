import Glibc

/// Whole small files as bytes.
enum FileBytes {
    /// The bytes of the file at `path`, or nil if there is no such file.
    static func read(_ path: String) throws(LoadError) -> [UInt8]? {
        if access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR) { return nil }
        let (descriptor, size) = try MappedFile.open(path)
        defer { close(descriptor) }
        var complete = true
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
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
