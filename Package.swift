// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "dora",
    targets: [
        // Weights in memory: SIMD kernels, packed matrices, the worker pool.
        .target(
            name: "CKernels",
            cSettings: [
                // Every fused multiply-add is written as one, so that all instruction sets round alike.
                .unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"])
            ]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "DoraTensor", dependencies: ["CKernels", "COpenBLAS"], path: "Sources/Tensor",
            swiftSettings: strict),

        // Files to weights: safetensors, configurations, adapters, the merge, tokenizers.
        .target(
            name: "CSentencePiece",
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .target(
            name: "DoraLoader", dependencies: ["DoraTensor", "CSentencePiece"], path: "Sources/Loader",
            swiftSettings: strict),

        .testTarget(name: "TensorTests", dependencies: ["DoraTensor"], swiftSettings: strict),
        .testTarget(
            name: "LoaderTests", dependencies: ["DoraLoader", "DoraTensor", "CSentencePiece"],
            swiftSettings: strict),
    ],
    cLanguageStandard: .gnu17,
    cxxLanguageStandard: .cxx17
)
