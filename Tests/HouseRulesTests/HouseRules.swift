/// The modules that one module may import, and those that it must never import.
///
/// `Package.swift` lists the dependencies of each module. This table lists the allowed imports, which are part of the
/// design. Dependencies point down only.
struct ModuleRule {
    let name: String
    /// The modules of this package that it may import.
    var house: [String] = []
    /// The modules of other packages that it may import.
    var packages: [String] = []
    /// Whether it may import Synchronization, Dispatch and Foundation. The C library comes with SystemSupport.
    var isSystemAllowed = true
    /// The modules that it must never import. "NIO*" means every module whose name begins with NIO. The lists above
    /// already imply this. It is repeated, so that an edit of those lists cannot allow these modules.
    var forbidden: [String] = []
    /// The modules that it must not reach indirectly, through the modules that it imports.
    var unreachable: [String] = []
    /// Whether it is a C module. Those include only headers of the system and their own.
    var isC = false
}

let systemModules: Set<String> = [
    "Synchronization", "Dispatch", "Foundation", "FoundationEssentials",
]

let houseRules: [ModuleRule] = [
    // C. Kernels take pointers and counts.
    ModuleRule(name: "CLMDB", forbidden: ["*"], isC: true),
    ModuleRule(name: "CVectorKernels", forbidden: ["*"], isC: true),
    ModuleRule(name: "CChecksum", forbidden: ["*"], isC: true),
    ModuleRule(name: "CPrefetch", forbidden: ["*"], isC: true),

    // The platform: C library, locks, threads, memory.
    ModuleRule(
        name: "SystemSupport",
        house: ["CPrefetch"],
        packages: ["Darwin", "Glibc", "Musl"],
        forbidden: ["NIO*", "LMDB", "CLMDB", "ItemStore", "Foundation"]
    ),
    // A list of byte strings, for all modules.
    ModuleRule(name: "PackedStrings", isSystemAllowed: false, forbidden: ["*"]),
    // The JSON of features, for the protocol and the server.
    ModuleRule(
        name: "JSONObject",
        house: ["PackedStrings", "SystemSupport"],
        isSystemAllowed: false,
        forbidden: ["NIO*", "LMDB", "CLMDB", "WireProtocol", "ItemStore"]
    ),
    // A wrapper of LMDB that knows no items.
    ModuleRule(
        name: "LMDB",
        house: ["CLMDB", "SystemSupport"],
        forbidden: ["NIO*", "ItemStore", "SamplingFrequency", "VectorIndex"]
    ),
    // A pure algorithm. It needs only the C library, for functions such as log1p.
    ModuleRule(
        name: "SamplingFrequency",
        house: ["SystemSupport"],
        isSystemAllowed: false,
        forbidden: ["LMDB", "CLMDB", "NIO*", "Foundation", "Dispatch"]
    ),
    // Arithmetic on vectors and codes in memory.
    ModuleRule(name: "VectorIndex", house: ["CVectorKernels"], forbidden: ["LMDB", "CLMDB", "NIO*"]),
    // The engine runs without a socket.
    ModuleRule(
        name: "ItemStore",
        house: [
            "LMDB", "SamplingFrequency", "VectorIndex", "PackedStrings", "JSONObject", "CChecksum", "SystemSupport",
        ],
        packages: ["Logging", "DequeModule", "HeapModule"],
        forbidden: ["NIO*", "WireProtocol", "CLMDB"]
    ),

    // Shared by server and client.
    ModuleRule(
        name: "WireProtocol",
        house: ["JSONObject", "PackedStrings", "SystemSupport"],
        packages: ["NIOCore"],
        forbidden: ["NIOPosix", "ItemStore", "LMDB", "CLMDB"],
        unreachable: ["ItemStore", "LMDB", "CLMDB"]
    ),
    // Connects clients with the engine. It has no algorithm of its own.
    ModuleRule(
        name: "LogQServer",
        house: [
            "ItemStore", "WireProtocol", "JSONObject", "PackedStrings", "SamplingFrequency", "VectorIndex",
            "SystemSupport",
        ],
        packages: [
            "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "Logging", "DequeModule", "ServiceLifecycle",
        ],
        forbidden: ["CLMDB", "LMDB", "CVectorKernels"]
    ),
    // The client must not link the database.
    ModuleRule(
        name: "LogQClient",
        house: ["WireProtocol", "PackedStrings", "SystemSupport"],
        packages: ["NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "DequeModule"],
        forbidden: ["ItemStore", "LogQServer"],
        unreachable: ["ItemStore", "LogQServer", "LMDB", "CLMDB"]
    ),
    // The demo uses only the client, like any trainer.
    ModuleRule(
        name: "DependencyDemo",
        house: ["LogQClient", "CVectorKernels", "SystemSupport"],
        forbidden: ["ItemStore", "LogQServer"],
        unreachable: ["ItemStore", "LogQServer", "LMDB", "CLMDB"]
    ),

    // The executables.
    ModuleRule(
        name: "logqd",
        house: ["LogQServer", "ItemStore", "WireProtocol", "SystemSupport"],
        packages: ["ArgumentParser", "Logging", "ServiceLifecycle", "UnixSignals"],
        forbidden: ["LMDB", "CLMDB", "CVectorKernels", "LogQClient"]
    ),
    ModuleRule(
        name: "logq",
        house: ["LogQClient", "DependencyDemo", "WireProtocol", "PackedStrings"],
        packages: ["ArgumentParser"],
        forbidden: ["ItemStore", "LogQServer", "LMDB", "CLMDB"],
        unreachable: ["ItemStore", "LogQServer", "LMDB", "CLMDB"]
    ),
]

/// The rule for the tools that tests and benchmarks share. A benchmark is a plain executable, so it cannot link
/// Testing.
let testSupportRule = ModuleRule(
    name: "TestSupport",
    house: ["SystemSupport", "SamplingFrequency"],
    forbidden: ["NIO*", "ItemStore", "LogQServer", "LogQClient", "Testing"]
)

extension ModuleRule {
    /// The reason why the module must not import `imported`. Nil if it may.
    func objection(toImporting imported: String) -> String? {
        let isForbidden = forbidden.contains { pattern in
            pattern.hasSuffix("*") ? imported.hasPrefix(pattern.dropLast()) : imported == pattern
        }
        if isForbidden { return "\(name) must never import \(imported)" }
        if house.contains(imported) || packages.contains(imported) { return nil }
        if isSystemAllowed && systemModules.contains(imported) { return nil }
        return "\(name) imports \(imported), which the table of the house rules does not allow"
    }

    /// The modules of this package that it reaches, directly or indirectly.
    func reached(by rules: [String: ModuleRule]) -> Set<String> {
        var found: Set<String> = []
        var open = house
        while let next = open.popLast() {
            guard found.insert(next).inserted else { continue }
            open += rules[next]?.house ?? []
        }
        return found
    }
}
