// swift-tools-version: 6.1
import PackageDescription

// The modules and their dependencies, which point down only. Two checks enforce this: `.ci/run` builds with
// `--explicit-target-dependency-import-check error`, and `Tests/HouseRulesTests` reads every import.
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioConcurrency = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
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
        // C: the LMDB library, kernels and checksums.
        .systemLibrary(
            name: "CLMDB",
            pkgConfig: "lmdb",
            providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]
        ),
        .target(name: "CVectorKernels"),
        .target(name: "CChecksum"),
        .target(name: "CPrefetch"),

        // Algorithms and storage, without sockets.
        .target(name: "SystemSupport", dependencies: ["CPrefetch"]),
        .target(name: "PackedStrings"),
        .target(name: "JSONObject", dependencies: ["PackedStrings", "SystemSupport"]),
        .target(name: "LMDB", dependencies: ["CLMDB", "SystemSupport"]),
        .target(name: "SamplingFrequency", dependencies: ["SystemSupport"]),
        .target(name: "VectorIndex", dependencies: ["CVectorKernels"]),
        .target(
            name: "ItemStore",
            dependencies: [
                "LMDB", "SamplingFrequency", "VectorIndex", "PackedStrings", "JSONObject", "CChecksum",
                "SystemSupport",
                logging, deque, heap,
            ]
        ),

        // The protocol, the server, the client and the demo.
        .target(name: "WireProtocol", dependencies: ["JSONObject", "PackedStrings", "SystemSupport", nioCore]),
        .target(
            name: "LogQServer",
            dependencies: [
                "ItemStore", "WireProtocol", "JSONObject", "PackedStrings", "SamplingFrequency", "VectorIndex",
                "SystemSupport",
                nioCore, nioPosix, nioConcurrency, logging, deque, serviceLifecycle,
            ]
        ),
        .target(
            name: "LogQClient",
            dependencies: ["WireProtocol", "PackedStrings", "SystemSupport", nioCore, nioPosix, nioConcurrency, deque]
        ),
        .target(
            name: "DependencyDemo",
            dependencies: ["LogQClient", "CVectorKernels", "SystemSupport"],
            exclude: ["Data/README.md", "Data/collect-dependencies"],
            resources: [.copy("Data/debian-12-dependencies.tsv")]
        ),

        .executableTarget(
            name: "logqd",
            dependencies: [
                "LogQServer", "ItemStore", "WireProtocol", "SystemSupport",
                argumentParser, logging, serviceLifecycle, unixSignals,
            ]
        ),
        .executableTarget(
            name: "logq",
            dependencies: ["LogQClient", "WireProtocol", "PackedStrings", "DependencyDemo", argumentParser]
        ),

        // Each test target tests one module, except EndToEndTests, which run the real daemon. TestSupport has the
        // shared tools.
        .target(name: "TestSupport", dependencies: ["SamplingFrequency", "SystemSupport"], path: "Tests/TestSupport"),
        .testTarget(name: "LMDBTests", dependencies: ["TestSupport", "LMDB"]),
        .testTarget(name: "PackedStringsTests", dependencies: ["PackedStrings"]),
        .testTarget(name: "JSONObjectTests", dependencies: ["TestSupport", "JSONObject", "PackedStrings"]),
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
                "ItemStore", "LMDB", "PackedStrings", "SamplingFrequency", "VectorIndex", "CChecksum", "SystemSupport",
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
            dependencies: [
                "TestSupport", "LogQClient", "WireProtocol", "SystemSupport", nioCore, nioPosix, nioConcurrency,
            ]
        ),
        .testTarget(name: "logqTests", dependencies: ["logq", "LogQClient", argumentParser]),
        .testTarget(name: "DependencyDemoTests", dependencies: ["TestSupport", "DependencyDemo"]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "LogQClient", "LogQServer", "WireProtocol", "PackedStrings", "logqd", "logq",
                nioConcurrency,
            ],
            exclude: ["Fixtures", "RedisClients"]
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
            exclude: ["README.md", "Simulation/estimation-error.svg"],
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
