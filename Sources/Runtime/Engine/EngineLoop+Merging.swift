import DoraLoader
import Foundation

/// A load whose adapter has been read: its matrices are merged a few tiles at a time, between the steps.
struct PendingMerge {
    let ticket: AdapterRegistry.Ticket
    let name: String
    let digest: String
    var merge: AdapterMerge
    var time = Duration.zero
}

extension EngineLoop {
    mutating func load(
        _ order: AdapterOrder, _ reply: @escaping @Sendable (Result<AdapterIdentity, EngineError>) -> Void
    ) {
        do throws(EngineError) {
            let (load, isNew) = try registry.orderLoad(
                order.name, path: order.path, isReplacement: order.isReplacement,
                expectedGeneration: order.expectedGeneration, isPinned: order.isPinned)
            loadReplies[load.ticket, default: []].append(reply)
            if isNew { read(load) }
        } catch { reply(.failure(error)) }
    }

    mutating func unload(
        _ name: String, disable: Bool, _ reply: @Sendable (Result<Void, EngineError>) -> Void
    ) {
        do throws(EngineError) {
            if let gone = try registry.unload(name, disable: disable) { forget(gone) }
            reply(.success(()))
        } catch { reply(.failure(error)) }
    }

    mutating func read(_ load: AdapterRegistry.Load) {
        toRead.append(load)
        readNext()
    }

    /// Reads an adapter's files elsewhere; the outcome comes back as a message. One at a time, while another is merged:
    /// however many loads are ordered, no more than two adapters are held unmerged.
    mutating func readNext() {
        guard !isReading, merges.count < 2, !toRead.isEmpty else { return }
        isReading = true
        let load = toRead.removeFirst()
        let (inbox, inventory, baseName) = (inbox, base.inventory, base.name)
        Thread.detachNewThread {
            let result: Result<Adapter, EngineError>
            do throws(LoadError) {
                result = .success(
                    try AdapterSum(load.folder).load(fitting: inventory, baseName: baseName))
            } catch { result = .failure(EngineError(error)) }
            inbox.send(.read(load.ticket, result))
        }
    }

    mutating func prepareMerge(_ ticket: AdapterRegistry.Ticket, _ result: Result<Adapter, EngineError>) {
        isReading = false
        guard let load = registry.loads[ticket] else { return }
        do {
            let adapter = try result.get()
            if let (identity, gone) = try registry.revive(ticket, digest: adapter.digest) {
                if let gone { forget(gone) }
                serve(ticket, identity)
                return
            }
            let merge = AdapterMerge(of: adapter, into: base, on: compute)
            try charge(ticket, bytes: merge.plannedBytes)
            merges.append(PendingMerge(ticket: ticket, name: load.name, digest: adapter.digest, merge: merge))
        } catch { failLoad(ticket, load.name, EngineError(error)) }
    }

    /// Makes room for what a load will hold.
    private mutating func charge(_ ticket: AdapterRegistry.Ticket, bytes: Int) throws(EngineError) {
        for evicted in try registry.charge(ticket, bytes: bytes) {
            batch.prefixes.drop(evicted)
            options.notice(.evicted(evicted))
        }
    }

    /// Merges for a quarter of the time that the last step took, or a few tiles, which are a few milliseconds: running
    /// sequences get their next token little later while an adapter is merged (docs/serving.md).
    mutating func mergeBeside(_ step: Duration) {
        let time = step / 4
        let start = ContinuousClock.now
        var last = Duration.zero
        repeat {
            guard var pending = merges.first else { return }
            do {
                let raised = pending.merge.raisedBytes
                last = try ContinuousClock().measure { try pending.merge.step() }
                if pending.merge.raisedBytes > raised {
                    try charge(pending.ticket, bytes: pending.merge.plannedBytes)
                }
                pending.time += last
                merges[0] = pending
            } catch {
                merges.removeFirst()
                failLoad(pending.ticket, pending.name, EngineError(error))
                continue
            }
            if pending.merge.isDone {
                merges.removeFirst()
                publish(pending)
            }
        } while ContinuousClock.now - start + last < time
    }

    private mutating func publish(_ pending: PendingMerge) {
        let report = pending.merge.report
        guard
            let (identity, gone) = registry.publish(
                pending.ticket, digest: pending.digest, weights: pending.merge.base.weights)
        else { return }
        statistics.merges += 1
        if let gone { forget(gone) }
        options.notice(
            .loaded(
                identity, digest: pending.digest, bytes: report.bytes,
                seconds: Double(pending.time.components.seconds) + Double(pending.time.components.attoseconds)
                    * 1e-18,
                warnings: report.warnings))
        serve(pending.ticket, identity)
    }

    /// Queues those who waited for a load.
    private mutating func serve(_ ticket: AdapterRegistry.Ticket, _ identity: AdapterIdentity) {
        for reply in loadReplies.removeValue(forKey: ticket) ?? [] { reply(.success(identity)) }
        for (request, arrival) in waitingForLoad.removeValue(forKey: ticket) ?? [] {
            if case .named(let name, let generation?) = request.adapter, generation != identity.generation {
                fail(
                    request,
                    EngineError(
                        .notFound, "unknown_generation",
                        "adapter '\(name)' has changed: it is at generation \(identity.generation)",
                        param: "adapter"))
                continue
            }
            registry.lease(identity)
            enqueue(
                Waiting(
                    request: request, adapter: identity, arrival: arrival,
                    mergeTime: ContinuousClock.now - arrival))
        }
        if registry.dropIfDone(identity) { forget(identity) }
    }

    private mutating func failLoad(_ ticket: AdapterRegistry.Ticket, _ name: String, _ error: EngineError) {
        registry.fail(ticket)
        options.notice(.failed(name: name, error))
        for reply in loadReplies.removeValue(forKey: ticket) ?? [] { reply(.failure(error)) }
        for waiting in waitingForLoad.removeValue(forKey: ticket) ?? [] { fail(waiting.request, error) }
    }
}
