import Crypto
import DoraTensor
import DoraText

/// The header of a packed file: that of any safetensors file, but with a fixed beginning, so that version and checksum are
/// found before anything is trusted. `docs/packed.md` describes it.
enum PackedHeader {
    static let version = "1"
    /// The data begin at a multiple of this, a page.
    static let alignment = 4096

    /// From byte 8 on.
    private static let opening = Array(#"{"__metadata__":{"format":"dora-packed","version":""#.utf8)
    private static let checksumKey = Array(#"","checksum":""#.utf8)
    private static let digestLength = 64
    private static let blank = [UInt8](repeating: UInt8(ascii: "0"), count: digestLength)
    private static let checksumStart = 8 + opening.count + version.utf8.count + checksumKey.count

    /// Metadata key of the base's name.
    static let baseKey = "base"
    /// Metadata key of a tensor's SHA-256.
    static func digestKey(_ tensor: String) -> String { "sha256:\(tensor)" }
    /// Metadata key of what a module's matrix is made of.
    static func matrixKey(_ module: String) -> String { "matrix:\(module)" }
    /// Metadata key of the format of a tensor that holds blocks.
    static func blocksKey(_ tensor: String) -> String { "blocks:\(tensor)" }

    static func hexadecimal(_ digest: SHA256.Digest) -> String {
        digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Whether the bytes begin as a packed file of any version does.
    static func opens(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= 8 + opening.count && bytes[8..<8 + opening.count].elementsEqual(opening)
    }

    /// Checks kind, version and checksum.
    /// - Parameter bytes: the whole file.
    static func check(_ bytes: UnsafeRawBufferPointer, file: String) throws(LoadError) {
        try GitPointer.refuse(bytes, file: file)
        guard opens(bytes) else { throw notPacked(bytes, file: file) }
        let found = bytes[(8 + opening.count)...].prefix(16).prefix { $0 != UInt8(ascii: "\"") }
        guard found.elementsEqual(version.utf8) else {
            throw LoadError(
                .unsupported, file: file, field: "version", expected: version,
                found: String(decoding: found, as: UTF8.self),
                advice: "pack the model again with this program's dora-pack")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        let end = checksumStart + digestLength
        guard length <= UInt64(SafetensorsHeader.maximumLength), Int(length) + 8 <= bytes.count,
            end < Int(length) + 8
        else {
            throw damaged(file, expected: "a header of at most \(bytes.count - 8) bytes", found: "\(length)")
        }
        let header = UnsafeRawBufferPointer(rebasing: bytes[..<(8 + Int(length))])
        guard header[..<checksumStart].suffix(checksumKey.count).elementsEqual(checksumKey) else {
            throw damaged(file, expected: "a checksum after the version", found: "none")
        }
        let written = String(decoding: header[checksumStart..<end], as: UTF8.self)
        let computed = checksum(header)
        guard written == computed else { throw damaged(file, expected: written, found: computed) }
    }

    /// SHA-256 of the header, its length's 8 bytes included, with zeros for the digits of the checksum.
    private static func checksum(_ header: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: header[..<checksumStart]))
        hash.update(data: blank)
        hash.update(
            bufferPointer: UnsafeRawBufferPointer(rebasing: header[(checksumStart + digestLength)...]))
        return hexadecimal(hash.finalize())
    }

    /// The header of a file.
    /// - Parameters:
    ///   - tensors: in the order of their data.
    ///   - digests: SHA-256 of each; zeros where it is not known yet, which gives a header of the same length.
    static func bytes(
        _ tensors: [PackedTensor], metadata: [(key: String, value: String)], digests: [String: String]
    ) -> [UInt8] {
        let zeros = String(decoding: blank, as: UTF8.self)
        var text = String(decoding: opening, as: UTF8.self) + version
        text += String(decoding: checksumKey, as: UTF8.self) + zeros + "\""
        for (key, value) in metadata { text += ",\"\(key)\":\"\(escaped(value))\"" }
        for tensor in tensors {
            text += ",\"\(digestKey(tensor.name))\":\"\(digests[tensor.name] ?? zeros)\""
        }
        text += "}"
        var offset = 0
        for tensor in tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            text += ",\"\(tensor.name)\":{\"dtype\":\"\(tensor.elementType.rawValue)\",\"shape\":[\(shape)],"
            text += "\"data_offsets\":[\(offset),\(offset + tensor.byteCount)]}"
            offset += tensor.byteCount
        }
        text += "}"
        let length = (8 + text.utf8.count).roundedUp(to: alignment) - 8
        var header = withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) } + Array(text.utf8)
        header += [UInt8](repeating: UInt8(ascii: " "), count: length - text.utf8.count)
        seal(&header)
        return header
    }

    /// As the inside of a JSON string.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case ..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Puts the checksum in its place.
    /// - Parameter header: up to where the data begin.
    static func seal(_ header: inout [UInt8]) {
        let digest = header.withUnsafeBytes { checksum($0) }
        header.replaceSubrange(checksumStart..<checksumStart + digestLength, with: digest.utf8)
    }

    private static func damaged(_ file: String, expected: String, found: String) -> LoadError {
        LoadError(
            .malformed, file: file, field: "header", expected: expected, found: found,
            advice: "the file is damaged; copy it again, or pack the model again")
    }

    private static func notPacked(_ bytes: UnsafeRawBufferPointer, file: String) -> LoadError {
        let isSafetensors = bytes.count > 8 && bytes[8] == UInt8(ascii: "{")
        return LoadError(
            .unsupported, file: file, "this is no file that dora-pack wrote",
            advice: isSafetensors
                ? "give the folder that a checkpoint lies in, or pack that folder"
                : "give a folder in the Hugging Face layout, a GGUF file or a packed file")
    }
}

/// A tensor of a packed file, before its data are known.
struct PackedTensor: Equatable, Sendable {
    let name: String
    let elementType: ElementType
    let shape: [Int]

    var byteCount: Int { shape.reduce(elementType.byteCount, *) }
}
