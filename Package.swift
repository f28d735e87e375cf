// swift-tools-version: 6.1
import PackageDescription

// One table for the whole house: a module, what it may depend on. Arrows point down only; the build runs with
// `--explicit-target-dependency-import-check error`, and `Tests/HouseRulesTests` reads every import.
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioConcurrency = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "logqd",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "logqd", targets: ["logqd"]),
        .executable(name: "logq", targets: ["logq"]),
        .library(name: "LogQClient", targets: ["LogQClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        // C, replaceable: kernels and checksums take pointers and counts.
        .systemLibrary(
            name: "CLMDB",
            pkgConfig: "lmdb",
            providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]
        ),
        .target(name: "CVectorKernels"),
        .target(name: "CChecksum"),

        // Algorithms and storage: no sockets.
        .target(name: "PackedStrings"),
        .target(name: "LMDB", dependencies: ["CLMDB"]),
        .target(name: "SamplingFrequency"),
        .target(name: "VectorIndex", dependencies: ["CVectorKernels"]),
        .target(
            name: "ItemStore",
            dependencies: ["LMDB", "SamplingFrequency", "VectorIndex", "PackedStrings", "CChecksum", logging, deque]
        ),

        // The wire, the server, the client.
        .target(name: "WireProtocol", dependencies: ["PackedStrings", nioCore]),
        .target(
            name: "LogQServer",
            dependencies: [
                "ItemStore", "WireProtocol", "PackedStrings", "SamplingFrequency", "VectorIndex",
                nioCore, nioPosix, nioConcurrency, logging, deque, serviceLifecycle,
            ]
        ),
        .target(
            name: "LogQClient",
            dependencies: ["WireProtocol", "PackedStrings", nioCore, nioPosix, nioConcurrency, deque]
        ),
        .target(
            name: "DependencyDemo",
            dependencies: ["LogQClient", "CVectorKernels"],
            exclude: ["Data/README.md", "Data/collect-dependencies"],
            resources: [.copy("Data/debian-12-dependencies.tsv")]
        ),

        .executableTarget(
            name: "logqd",
            dependencies: [
                "LogQServer", "ItemStore", "WireProtocol", argumentParser, logging, serviceLifecycle, unixSignals,
            ]
        ),
        .executableTarget(
            name: "logq",
            dependencies: ["LogQClient", "WireProtocol", "PackedStrings", "DependencyDemo", argumentParser]
        ),

        // Tests: one target a module, the real daemon in EndToEndTests. What they share stands in TestSupport.
        .target(name: "TestSupport", dependencies: ["SamplingFrequency"], path: "Tests/TestSupport"),
        .testTarget(name: "LMDBTests", dependencies: ["TestSupport", "LMDB"]),
        .testTarget(name: "PackedStringsTests", dependencies: ["PackedStrings"]),
        .testTarget(
            name: "SamplingFrequencyTests",
            dependencies: ["TestSupport", "SamplingFrequency"],
            exclude: ["TensorFlow/golden-numbers.py"],
            resources: [.copy("TensorFlow/golden-numbers.json")]
        ),
        .testTarget(name: "VectorIndexTests", dependencies: ["TestSupport", "VectorIndex", "CVectorKernels"]),
        .testTarget(
            name: "ItemStoreTests",
            dependencies: [
                "TestSupport",
                "ItemStore", "LMDB", "PackedStrings", "SamplingFrequency", "VectorIndex", "CChecksum",
                nioConcurrency, logging,
            ]
        ),
        .testTarget(
            name: "WireProtocolTests",
            dependencies: ["TestSupport", "WireProtocol", "PackedStrings", nioCore]
        ),
        .testTarget(
            name: "LogQServerTests",
            dependencies: [
                "TestSupport", "LogQServer", "WireProtocol", "ItemStore", "PackedStrings", "VectorIndex",
                nioCore, nioConcurrency, nioEmbedded, logging,
            ]
        ),
        .testTarget(
            name: "LogQClientTests",
            dependencies: ["LogQClient", "WireProtocol", nioCore, nioPosix, nioConcurrency]
        ),
        .testTarget(name: "logqTests", dependencies: ["logq", "LogQClient", argumentParser]),
        .testTarget(name: "DependencyDemoTests", dependencies: ["DependencyDemo"]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "LogQClient", "LogQServer", "WireProtocol", "PackedStrings", "logqd", "logq",
                nioConcurrency,
            ]
        ),
        .testTarget(name: "HouseRulesTests"),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "logqd",
                "TestSupport", "ItemStore", "SamplingFrequency", "VectorIndex", "LogQClient", "PackedStrings",
                argumentParser, logging,
            ],
            path: "Tests/Benchmarks",
            exclude: ["Simulation/estimation-error.svg"],
            resources: [.copy("Search/peers.py")]
        ),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
