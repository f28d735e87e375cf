// swift-tools-version: 6.1
import PackageDescription

// A program that uses the client. It needs neither the daemon nor LMDB to build.
let package = Package(
    name: "store-and-find",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "logqd", path: "../../..")],
    targets: [
        .executableTarget(
            name: "store-and-find",
            dependencies: [.product(name: "LogQClient", package: "logqd")]
        )
    ]
)
