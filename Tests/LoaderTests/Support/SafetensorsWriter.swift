import DoraTensor

/// Builds safetensors files in memory, sound ones and, through `raw`, broken ones.
struct SafetensorsWriter {
    private var entries: [String] = []
    private var data: [UInt8] = []

    mutating func add(_ name: String, _ type: String = "F32", shape: [Int], bytes: [UInt8]) {
        let shape = shape.map(String.init).joined(separator: ",")
        entries.append(
            #""\#(name)":{"dtype":"\#(type)","shape":[\#(shape)],"data_offsets":[\#(data.count),\#(data.count + bytes.count)]}"#
        )
        data += bytes
    }

    mutating func add(_ name: String, shape: [Int], _ floats: [Float]) {
        add(name, shape: shape, bytes: floats.flatMap { littleEndian($0.bitPattern) })
    }

    /// A tensor filled with one number.
    mutating func add(_ name: String, shape: [Int], filledWith value: Float = 0.5) {
        add(name, shape: shape, [Float](repeating: value, count: shape.reduce(1, *)))
    }

    var bytes: [UInt8] { Self.raw("{" + entries.joined(separator: ",") + "}", data) }

    /// Any header before any data.
    static func raw(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
        littleEndian(UInt64(header.utf8.count)) + Array(header.utf8) + data
    }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
