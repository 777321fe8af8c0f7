import CProbes
import DoraRuntime
import DoraTensor

/// What this machine can do at most, measured with all threads of the pool.
///
/// Neighbours change it from one minute to the next, so a figure is compared with limits measured beside it.
struct MachineLimits {
    private let compute: Compute
    private let memory: AlignedMemory
    private let probes = dp_best().pointee

    private static let bytes = 2 << 30
    /// What a thread takes at a time: much more than its caches hold.
    private static let chunk = 8 << 20
    private static let rounds = 200_000

    init(on compute: Compute) throws(ComputeError) {
        self.compute = compute
        memory = try compute.heap.allocate(byteCount: Self.bytes)
        let start = memory.pointer
        compute.parallel(Self.bytes / Self.chunk) { index in
            (start + index * Self.chunk).initializeMemory(as: UInt8.self, repeating: 1, count: Self.chunk)
        }
    }

    /// The instruction set of the loops.
    var name: String { String(cString: probes.name) }

    /// Bytes a second: the best of some reads of 2 GiB.
    func bandwidth(bestOf count: Int) -> Double {
        let start = UnsafeRawPointer(memory.pointer)
        return (0..<count).map { _ in
            let time = measure {
                compute.parallel(Self.bytes / Self.chunk) { index in
                    _ = probes.read(start + index * Self.chunk, Int64(Self.chunk))
                }
            }
            return Double(Self.bytes) / time
        }.max() ?? 0
    }

    /// Multiply-adds a second of 8-bit integers into 32-bit sums.
    func int8Rate(bestOf count: Int) -> Double {
        rate(bestOf: count, multiplyAdds: probes.int8_per_round) { probes.multiply_int8($0) }
    }

    /// Fused multiply-adds of 32-bit floats a second.
    func floatRate(bestOf count: Int) -> Double {
        rate(bestOf: count, multiplyAdds: probes.float_per_round) { probes.multiply_float($0) }
    }

    private func rate(bestOf count: Int, multiplyAdds: Int64, _ loop: (Int64) -> UInt64) -> Double {
        let tasks = 4 * compute.threads
        return (0..<count).map { _ in
            let time = measure { compute.parallel(tasks) { _ in _ = loop(Int64(Self.rounds)) } }
            return Double(tasks * Self.rounds) * Double(multiplyAdds) / time
        }.max() ?? 0
    }
}

/// Seconds that `body` takes.
func measure(_ body: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure(body).seconds
}
