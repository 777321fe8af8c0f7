import DoraRuntime
import DoraText
import Foundation
import HTTPTypes
import Hummingbird

/// The base and its adapters, as OpenAI lists models.
extension HTTPAPI {
    var modelRoutes: [HTTPRoute] {
        [
            HTTPRoute(method: .get, path: "/v1/models") { [listing] _, _ in
                let models = await listing.models()
                return Response { line in
                    line.object { line in
                        line.key("object")
                        line.value("list")
                        line.key("data")
                        line.array { line in
                            for model in models { listing.write(model, to: &line) }
                        }
                    }
                }
            },
            HTTPRoute(method: .get, path: "/v1/models/**") { [listing] _, context in
                // A served name may have a slash.
                let id = context.parameters.getCatchAll().joined(separator: "/").removingPercentEncoding ?? ""
                let models = await listing.models()
                guard let model = models.first(where: { $0.id == id }) else {
                    throw OpenAIError(
                        .notFound, "model_not_found", "there is no model \(id.quoted)", param: "model")
                }
                return Response { listing.write(model, to: &$0) }
            },
        ]
    }
}
