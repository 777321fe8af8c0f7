import NIOCore

/// Bytes as they arrive, cut into lines. Holds at most one unfinished line of the allowed length and what a single read
/// brought behind it.
struct LineBuffer {
    enum Next: Equatable {
        /// Without its line feed, and a carriage return before that.
        case line([UInt8])
        case tooLong
        case incomplete
    }

    let maximumLine: Int
    private var bytes = ByteBuffer()
    /// Bytes of the unfinished line that were searched already.
    private var searched = 0

    init(maximumLine: Int) { self.maximumLine = maximumLine }

    var isEmpty: Bool { bytes.readableBytes == 0 }

    mutating func append(_ buffer: ByteBuffer) {
        var buffer = buffer
        bytes.discardReadBytes()
        bytes.writeBuffer(&buffer)
    }

    mutating func next() -> Next {
        let view = bytes.readableBytesView
        guard let end = view[(view.startIndex + searched)...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = view.count
            return searched > maximumLine ? .tooLong : .incomplete
        }
        let count = end - view.startIndex
        searched = 0
        guard count <= maximumLine, var line = bytes.readBytes(length: count) else { return .tooLong }
        bytes.moveReaderIndex(forwardBy: 1)
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return .line(line)
    }

    /// What was left without a line feed when the input ended.
    mutating func rest() -> [UInt8]? {
        searched = 0
        guard !isEmpty, var line = bytes.readBytes(length: bytes.readableBytes) else { return nil }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }
}
