package import DoraTensor

extension BaseModel {
    /// The base with an adapter merged in: a copy whose adapted matrices are new, and whose others are the base's own; or
    /// with the adapter's factors beside matrices that are all the base's (`StorageOptions.form`).
    ///
    /// - Parameter form: nil for what the storage options say.
    /// - Throws: `LoadError` when a replacement does not fit; `ComputeError` when memory runs out. The base is
    ///   untouched either way.
    package func adapted(
        by adapter: Adapter, as form: StorageOptions.Form? = nil, on compute: Compute,
        progress: (LoadProgress) -> Void = { _ in }
    ) throws -> (weights: ModelWeights, report: MergeReport) {
        var copy = self
        let report = try copy.adapt(by: adapter, as: form, on: compute, progress: progress)
        return (copy.weights, report)
    }

    /// Merges an adapter into this value, for a program that will not use the base alone: each matrix that nobody
    /// else holds is freed when its successor is ready, so that both sets are never in memory.
    ///
    /// - Throws: as `adapted(by:on:progress:)`; this value is then adapted in part and to be thrown away.
    package mutating func adapt(
        by adapter: Adapter, as form: StorageOptions.Form? = nil, on compute: Compute,
        progress: (LoadProgress) -> Void = { _ in }
    ) throws -> MergeReport {
        let choice = try formChoice(of: adapter, as: form)
        var merge = AdapterMerge(of: adapter, into: consume self, as: choice, on: compute)
        defer { self = merge.base }
        progress(merge.progress)
        while !merge.isDone {
            try merge.step()
            progress(merge.progress)
        }
        return merge.report
    }
}
