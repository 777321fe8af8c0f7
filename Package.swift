// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// For the modules that loop over weights and vocabularies: unoptimized, the tests would take minutes.
let optimized = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let package = Package(
    name: "dora",
    products: [
        .executable(name: "dora", targets: ["dora"]),
        .executable(name: "dora-export", targets: ["dora-export"]),
        .executable(name: "dora-generate", targets: ["dora-generate"]),
        .executable(name: "dora-pack", targets: ["dora-pack"]),
        .executable(name: "dora-serve", targets: ["dora-serve"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Weights in memory: SIMD kernels, packed matrices, the worker pool.
        .target(
            name: "CKernels",
            cSettings: [
                // Every fused multiply-add is written as one, so that all instruction sets round alike.
                .unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"])
            ]),
        .target(
            name: "DoraTensor", dependencies: ["CKernels"], path: "Sources/Tensor",
            swiftSettings: optimized),

        // Messages to text, text to tokens and back: JSON, chat templates, tokenizers.
        .target(
            name: "CSentencePiece",
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .target(
            name: "DoraText", dependencies: ["CSentencePiece"], path: "Sources/Text",
            swiftSettings: optimized),

        // Files to weights: safetensors, configurations, adapters, the merge.
        .target(
            name: "DoraLoader",
            dependencies: [
                "DoraText", "DoraTensor", .product(name: "Crypto", package: "swift-crypto"),
            ],
            path: "Sources/Loader",
            swiftSettings: optimized),

        // Weights to files that other programs read.
        .systemLibrary(
            name: "COpenBLAS", path: "Sources/COpenBLAS", pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "DoraExport", dependencies: ["COpenBLAS", "DoraLoader", "DoraText", "DoraTensor"],
            path: "Sources/Export",
            swiftSettings: optimized),

        // Weights to tokens: the forward pass, the KV cache, greedy decoding.
        .target(
            name: "DoraRuntime", dependencies: ["DoraLoader", "DoraText", "DoraTensor"],
            path: "Sources/Runtime",
            swiftSettings: optimized),

        // Tokens to lines: what the commands print, the line protocol, its server and its client.
        .target(
            name: "DoraServe",
            dependencies: [
                "DoraRuntime", "DoraLoader", "DoraText", "DoraTensor",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Serve",
            // In the binary, not in a bundle beside it.
            resources: [
                .embedInCode("Page/index.html"), .embedInCode("Page/app.js"), .embedInCode("Page/app.css"),
            ],
            swiftSettings: strict),
        .target(
            name: "DoraExportCommand",
            dependencies: [
                "DoraExport", "DoraServe", "DoraLoader", "DoraText", "DoraTensor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/dora-export",
            swiftSettings: strict),
        .target(
            name: "DoraGenerateCommand",
            dependencies: [
                "DoraServe",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/dora-generate",
            swiftSettings: strict),
        .target(
            name: "DoraPackCommand",
            dependencies: [
                "DoraServe", "DoraLoader", "DoraTensor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/dora-pack",
            swiftSettings: strict),
        .target(
            name: "DoraServeCommand",
            dependencies: [
                "DoraServe",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/dora-serve",
            swiftSettings: strict),

        // A program for each command, and one of all, which is what installations have.
        .executableTarget(
            name: "dora-export", dependencies: ["DoraExportCommand"],
            path: "Sources/Programs/dora-export", swiftSettings: strict),
        .executableTarget(
            name: "dora-generate", dependencies: ["DoraGenerateCommand"],
            path: "Sources/Programs/dora-generate", swiftSettings: strict),
        .executableTarget(
            name: "dora-pack", dependencies: ["DoraPackCommand"],
            path: "Sources/Programs/dora-pack", swiftSettings: strict),
        .executableTarget(
            name: "dora-serve", dependencies: ["DoraServeCommand"],
            path: "Sources/Programs/dora-serve", swiftSettings: strict),
        .executableTarget(
            name: "dora",
            dependencies: ["DoraGenerateCommand", "DoraPackCommand", "DoraServeCommand", "DoraServe"],
            path: "Sources/Programs/dora", swiftSettings: strict),

        // Measurements, against the limits of the machine; no product.
        .target(
            name: "CProbes", path: "Benchmarks/CProbes",
            cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra"])]),
        .executableTarget(
            name: "dora-bench",
            dependencies: [
                "CProbes", "DoraRuntime", "DoraLoader", "DoraText", "DoraTensor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/dora-bench",
            swiftSettings: strict),
        .executableTarget(
            name: "dora-accuracy",
            dependencies: [
                "DoraRuntime", "DoraLoader", "DoraText", "DoraTensor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/dora-accuracy",
            swiftSettings: strict),

        .testTarget(
            name: "TensorTests", dependencies: ["DoraTensor", "COpenBLAS"], swiftSettings: strict),
        .testTarget(
            name: "TextTests", dependencies: ["DoraText", "DoraLoader", "CSentencePiece"],
            swiftSettings: strict),
        .testTarget(
            name: "LoaderTests",
            dependencies: [
                "DoraLoader", "DoraText", "DoraTensor",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ExportTests",
            dependencies: [
                "DoraExport", "DoraRuntime", "DoraLoader", "DoraText", "DoraTensor", "dora-export",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RuntimeTests",
            dependencies: ["DoraRuntime", "DoraLoader", "DoraText", "DoraTensor", "dora-accuracy"],
            swiftSettings: strict),
        .testTarget(
            name: "ServeTests",
            dependencies: [
                "DoraServe", "DoraRuntime", "DoraLoader", "DoraText", "DoraTensor", "dora-serve",
                "dora-generate", "dora-pack",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "GenerateTests", dependencies: ["dora-export", "dora-generate", "dora-pack"],
            swiftSettings: strict),
    ],
    cLanguageStandard: .gnu17,
    cxxLanguageStandard: .cxx17
)
