import DoraLoader
import DoraTensor

/// An adapter's files, read.
struct ReadAdapter: Sendable {
    let adapter: Adapter
    let language: Language

    /// Equal for equal contents, the tokenizer included.
    var digest: String { adapter.digest(withTokenizer: language.digest) }
}

/// A load whose adapter has been read: its matrices are merged, or the norms for its factors computed, a few tiles at a time, between the steps.
struct PendingMerge {
    let ticket: AdapterRegistry.Ticket
    let name: String
    let content: AdapterContent
    let language: Language
    var merge: AdapterMerge
    var time = Duration.zero
}

extension EngineLoop {
    mutating func load(
        _ order: AdapterOrder, _ reply: @escaping @Sendable (Result<AdapterIdentity, EngineError>) -> Void
    ) {
        do throws(EngineError) {
            let (load, isNew) = try registry.orderLoad(
                order.name, path: order.path, form: order.form, isReplacement: order.isReplacement,
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
        statistics.recordAdapterChange()
        readNext()
    }

    /// Reads an adapter's files elsewhere; the outcome comes back as a message. One at a time, while another is merged:
    /// however many loads are ordered, no more than two adapters are held unmerged.
    mutating func readNext() {
        guard !isReading, merges.count < 2, !toRead.isEmpty else { return }
        isReading = true
        let load = toRead.removeFirst()
        let (inbox, inventory, baseName, languages) = (inbox, base.inventory, base.name, languages)
        let isBaseRequired = base.isBaseRequired
        do throws(ComputeError) {
            try OwnThread.start {
                let result: Result<ReadAdapter, EngineError>
                do {
                    let adapter = try AdapterSum(load.folder).load(
                        fitting: inventory, baseName: baseName, isBaseRequired: isBaseRequired)
                    result = .success(
                        ReadAdapter(adapter: adapter, language: try languages.language(of: adapter)))
                } catch { result = .failure(EngineError(error)) }
                inbox.send(.read(load.ticket, result))
            }
        } catch { inbox.send(.read(load.ticket, .failure(EngineError(error)))) }
    }

    mutating func prepareMerge(_ ticket: AdapterRegistry.Ticket, _ result: Result<ReadAdapter, EngineError>) {
        isReading = false
        guard let load = registry.loads[ticket] else { return }
        defer { endKeeping() }
        do {
            let read = try result.get()
            let choice = try base.formChoice(of: read.adapter, as: load.form)
            let content = AdapterContent(digest: read.digest, form: choice.form)
            if let (identity, gone) = try registry.revive(ticket, content: content) {
                if let gone { forget(gone) }
                serve(ticket, identity)
                return
            }
            let merge = AdapterMerge(of: read.adapter, into: base, as: choice, on: compute)
            // The memory of matrices that are evicted for it is for its own.
            if choice.form == .merged { compute.heap.keepReturned(true) }
            try charge(ticket, merge, with: read.language)
            merges.append(
                PendingMerge(
                    ticket: ticket, name: load.name, content: content, language: read.language,
                    merge: merge))
        } catch { failLoad(ticket, load.name, EngineError(error)) }
    }

    /// Makes room for what a load will hold.
    private mutating func charge(
        _ ticket: AdapterRegistry.Ticket, _ merge: AdapterMerge, with language: Language
    ) throws {
        let isFirst = registry.evictions == 0
        let victims = try registry.charge(ticket, bytes: merge.plannedBytes + language.byteCount)
        if isFirst, !victims.isEmpty, registry.root != nil, merge.form == .merged,
            let factored = merge.report.choice.addedBytes(.factored),
            let merged = merge.report.choice.addedBytes(.merged)
        {
            options.notice(.crowded(budget: registry.budget, merged: merged, factored: factored))
        }
        for evicted in victims {
            batch.forget(evicted)
            options.notice(.evicted(evicted))
        }
    }

    /// Merges for a quarter of the time that the last step took, or a few tiles, which are a few milliseconds: running
    /// sequences get their next token little later while an adapter is merged (docs/serving.md).
    mutating func mergeBeside(_ step: Duration) {
        defer { endKeeping() }
        let time = step / 4
        let start = ContinuousClock.now
        var last = Duration.zero
        repeat {
            guard var pending = merges.first else { return }
            do {
                let raised = pending.merge.raisedBytes
                last = try ContinuousClock().measure { try pending.merge.step() }
                if pending.merge.raisedBytes > raised {
                    try charge(pending.ticket, pending.merge, with: pending.language)
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

    private func endKeeping() {
        if merges.isEmpty { compute.heap.keepReturned(false) }
    }

    private mutating func publish(_ pending: PendingMerge) {
        let report = pending.merge.report
        guard
            let (identity, gone) = registry.publish(
                pending.ticket, content: pending.content,
                model: ServedModel(weights: pending.merge.base.weights, language: pending.language))
        else { return }
        statistics.merges += 1
        statistics.loadSeconds.add(pending.time)
        if let gone { forget(gone) }
        options.notice(
            .loaded(
                identity, pending.content, bytes: report.bytes,
                seconds: pending.time.seconds,
                warnings: report.warnings))
        serve(pending.ticket, identity)
    }

    /// Queues those who waited for a load.
    private mutating func serve(_ ticket: AdapterRegistry.Ticket, _ identity: AdapterIdentity) {
        publishLanguages()
        for reply in loadReplies.removeValue(forKey: ticket) ?? [] { reply(.success(identity)) }
        for waiting in waitingForLoad.removeValue(forKey: ticket) ?? [] {
            if case .named(let name, let generation?) = waiting.request.adapter,
                generation != identity.generation
            {
                fail(
                    waiting.request,
                    EngineError(
                        .notFound, "unknown_generation",
                        "adapter '\(name)' has changed: it is at generation \(identity.generation)",
                        param: "adapter"))
                continue
            }
            registry.lease(identity)
            var bound = waiting
            bound.adapter = identity
            bound.mergeTime = ContinuousClock.now - waiting.arrival
            enqueue(bound)
        }
        if registry.dropIfDone(identity) { forget(identity) }
    }

    private mutating func failLoad(_ ticket: AdapterRegistry.Ticket, _ name: String, _ error: EngineError) {
        registry.fail(ticket)
        statistics.failedLoads += 1
        statistics.recordAdapterChange()
        options.notice(.failed(name: name, error))
        for reply in loadReplies.removeValue(forKey: ticket) ?? [] { reply(.failure(error)) }
        for waiting in waitingForLoad.removeValue(forKey: ticket) ?? [] { fail(waiting.request, error) }
    }
}
