import DoraRuntime
import DoraText
import HTTPTypes
import Hummingbird

/// The base and its adapters, as OpenAI lists models.
extension HTTPAPI {
    var modelRoutes: [HTTPRoute] {
        [
            HTTPRoute(method: .get, path: "/v1/models") { [listing] _, _ in
                Response(json: await listing.page().json)
            },
            HTTPRoute(method: .get, path: "/v1/models/**") { [listing] _, context in
                // A served name may have a slash.
                let id = context.parameters.getCatchAll().joined(separator: "/").percentDecoded ?? ""
                guard let model = await listing.page().models.first(where: { $0.id == id }) else {
                    throw OpenAIError(
                        .notFound, "model_not_found", "there is no model \(id.quoted)", param: "model")
                }
                return Response { listing.write(model, to: &$0) }
            },
        ]
    }
}
