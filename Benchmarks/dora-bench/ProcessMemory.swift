import DoraText
import Glibc

/// What the kernel says about this process's memory.
enum ProcessMemory {
    /// The most that it has held (`VmHWM`), in bytes.
    static func peak() throws -> Int {
        let status = String(decoding: try contents(of: "/proc/self/status"), as: UTF8.self)
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count > 1, let kilobytes = Int(words[1]) { return kilobytes * 1024 }
        }
        throw LoadError(.missing, file: "/proc/self/status", field: "VmHWM", "this kernel does not say")
    }

    private static func contents(of path: String) throws -> [UInt8] {
        guard let file = fopen(path, "r") else {
            throw LoadError(.missing, file: path, "cannot be read")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
}

/// Files that the operating system keeps in memory.
enum PageCache {
    /// Asks for the removal of a model's weights, so that loading reads the disk.
    /// - Returns: how many files were dropped.
    static func drop(_ model: String) throws -> Int {
        let files = isFolder(model) ? try weightFiles(in: model) : [model]
        for path in files {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw LoadError(.missing, file: path, "cannot be read") }
            defer { close(descriptor) }
            fdatasync(descriptor)
            posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        }
        return files.count
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func weightFiles(in folder: String) throws -> [String] {
        guard let directory = opendir(folder) else {
            throw LoadError(.missing, file: folder, "cannot be read")
        }
        defer { closedir(directory) }
        var files: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".safetensors") { files.append(folder + "/" + name) }
        }
        return files
    }
}
