import DoraLoader
import DoraRuntime
import DoraText
import HTTPTypes
import Hummingbird
import Logging

/// What the line protocol calls operations, and loading in vLLM's shapes.
extension HTTPAPI {
    var operationRoutes: [HTTPRoute] {
        [
            HTTPRoute(method: .get, path: "/v1/adapters") { [state] _, _ in
                try Response(result: AdaptersResult(await state.engine.adapters))
            },
            HTTPRoute(method: .get, path: "/v1/stats") { [state] _, _ in
                let connections = state.connectionCount
                return try Response(
                    result: StatsResult(await state.engine.statistics, connections: connections))
            },
            HTTPRoute(method: .post, path: "/v1/drain", role: .administrator) { [state] _, _ in
                state.requestDrain()
                return try Response(result: DrainResult(draining: true))
            },
        ]
    }

    /// What `--allow-load` opens.
    var loadingRoutes: [HTTPRoute] {
        [
            HTTPRoute(method: .post, path: "/v1/load_lora_adapter", role: .administrator) {
                request, context in
                let fields = try await loading(request)
                let name = try text("lora_name", of: fields)
                var order = AdapterOrder(name: name)
                order.path = try text("lora_path", of: fields)
                order.isReplacement = try flag("load_inplace", of: fields)
                order.form = try form("form", of: fields)
                try await load(order)
                context.call.notes.add(["adapter": "\(name)"])
                return Response(text: "Success: LoRA adapter '\(name)' added successfully.")
            },
            HTTPRoute(method: .post, path: "/v1/unload_lora_adapter", role: .administrator) {
                request, context in
                let name = try text("lora_name", of: await loading(request))
                do { try await unload(name) } catch let error as EngineError
                    where error.code == "unknown_adapter"
                {
                    // Of a name that is not there nothing is loaded either.
                    throw EngineError(
                        .notFound, "not_loaded", "adapter '\(name)' is not loaded", param: "lora_name")
                }
                context.call.notes.add(["adapter": "\(name)"])
                return Response(text: "Success: LoRA adapter '\(name)' removed successfully.")
            },
        ]
    }

    private func loading(_ request: Request) async throws -> JSONObject {
        guard settings.allowsLoading else {
            throw OpenAIError(
                .permission, "loading_disabled",
                "start the server with --allow-load to load and unload over HTTP")
        }
        return try await object(request)
    }

    /// - Throws: what clients of vLLM expect: 400 for an adapter that is none, or broken.
    private func load(_ order: AdapterOrder) async throws {
        if state.isDraining { throw EngineError.draining }
        do {
            _ = try await withCheckedThrowingContinuation { continuation in
                state.engine.load(order) { continuation.resume(with: $0) }
            }
        } catch let error as EngineError {
            var answer = OpenAIError(error)
            switch error.kind {
            case .badData: answer = OpenAIError(.invalidRequest, error.code, error.message)
            case .notFound: answer = OpenAIError(.notFound, "adapter_not_found", error.message)
            case .invalidRequest: answer = OpenAIError(.invalidRequest, error.code, error.message)
            default: break
            }
            answer.param = Self.field(error.param)
            throw answer
        }
    }

    private static func field(_ param: String?) -> String? {
        switch param {
        case "adapter", "name": "lora_name"
        case "path": "lora_path"
        case "replace": "load_inplace"
        default: param
        }
    }

    private func unload(_ name: String) async throws {
        try await withCheckedThrowingContinuation { continuation in
            state.engine.unload(name, disable: false) { continuation.resume(with: $0) }
        }
    }

    private func text(_ key: String, of fields: JSONObject) throws(OpenAIError) -> String {
        guard let text = fields[key]?.string, !text.isEmpty else {
            throw .invalid(key, "must be given, as a string")
        }
        return text
    }

    /// vLLM has no such field.
    private func form(_ key: String, of fields: JSONObject) throws(OpenAIError) -> StorageOptions.Form? {
        guard let value = fields[key], value != .null else { return nil }
        guard let form = value.string.flatMap(StorageOptions.Form.init(rawValue:)) else {
            throw .invalid(key, "must be auto, merged or factored")
        }
        return form
    }

    private func flag(_ key: String, of fields: JSONObject) throws(OpenAIError) -> Bool {
        guard let value = fields[key], value != .null else { return false }
        guard let flag = value.bool else { throw .invalid(key, "must be true or false") }
        return flag
    }
}
