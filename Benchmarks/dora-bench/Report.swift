import DoraLoader
import DoraRuntime
import DoraTensor

/// The middle of some measurements, and how far they lie apart.
struct Spread: Encodable {
    let median: Double
    let min: Double
    let max: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        if sorted.isEmpty {
            median = 0
        } else if sorted.count % 2 == 1 {
            median = sorted[middle]
        } else {
            median = (sorted[middle - 1] + sorted[middle]) / 2
        }
        min = sorted.first ?? 0
        max = sorted.last ?? 0
    }
}

/// Everything that one run measured. Bytes, seconds, and their quotients.
struct Report: Encodable {
    struct Limits: Encodable {
        let threads: Int
        let kernels: String
        let probes: String
        let readBytesPerSecond: Double
        let int8PerSecond: Double
        let floatPerSecond: Double
    }

    struct Load: Encodable {
        let seconds: Double
        let linearFormat: String
        let headFormat: String
        let keyValueFormat: String
        let matrixBytes: Int

        init(_ base: LoadedBase) {
            let weights = base.model.weights
            seconds = base.loadTime.seconds
            linearFormat = weights.layers.first?[.query]?.formatName ?? "none"
            headFormat = weights.head.formatName
            keyValueFormat = base.settings.keyValueFormat.rawValue
            matrixBytes = weights.matrixBytes
        }
    }

    struct Memory: Encodable {
        /// `VmHWM` before anything but the model was in memory.
        let peak: Int
        let matrices: Int
        let keyValues: Int
    }

    struct Merge: Encodable {
        let form: String
        let modules: Int
        /// Reading the adapter's file, the median.
        let adapterSeconds: Double
        let seconds: Spread
        /// Bytes of V that the merge reads, where matrices took their place.
        let readBytes: Int
        /// Of the merged matrices or the factors.
        let bytes: Int
        /// Of all matrices that the adapted model uses.
        let matrixBytes: Int
    }

    struct Prefill: Encodable {
        let weights: String
        let tokens: Int
        let seconds: Spread
        let tokensPerSecond: Double
        /// Multiply-adds of the linear layers / time / the peak.
        let shareOfPeak: Spread
        let peak: String
        /// Its rate / the base's.
        let ratio: Spread
    }

    struct Decode: Encodable {
        let weights: String
        let batch: Int
        let context: Int
        let stepSeconds: Spread
        let tokensPerSecond: Double
        /// Every matrix once, and every sequence's keys and values.
        let bytesPerStep: Int
        let bandwidth: Spread
        /// `bytesPerStep` / time / bandwidth, of rounds.
        let share: Spread
        /// Its rate / the base's, of rounds.
        let ratio: Spread
    }

    var limits: Limits?
    /// Files dropped from the page cache before loading.
    var droppedFiles: Int?
    var load: Load?
    var memory: Memory?
    var merge: Merge?
    var prefill: [Prefill]?
    var decode: [Decode]?

    mutating func describe(_ compute: Compute, _ limits: MachineLimits) {
        self.limits = Limits(
            threads: compute.threads, kernels: compute.kernelName, probes: limits.name,
            readBytesPerSecond: limits.bandwidth(bestOf: 5), int8PerSecond: limits.int8Rate(bestOf: 5),
            floatPerSecond: limits.floatRate(bestOf: 5))
    }
}
