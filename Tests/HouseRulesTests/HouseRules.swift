/// The rules of the house as data: who may import whom, and who must never import what.
///
/// `Package.swift` says what a module is built with; this table says what it may know, and why the house stands. A
/// change here is a change of the design. Arrows point down only.

struct ModuleRule {
    let name: String
    /// The modules of this package that it may import.
    var house: [String] = []
    /// The modules of other packages that it may import.
    var packages: [String] = []
    /// Whether it may import the system's C library, Synchronization, Dispatch and Foundation.
    var isSystemAllowed = true
    /// What it must never import; "NIO*" means every module whose name begins so. The lists above are shorter than
    /// the rest of the world, so this repeats what they imply: it is the part that must not be edited away.
    var forbidden: [String] = []
    /// What must not be reachable either, through whatever it imports.
    var unreachable: [String] = []
    /// C: it includes the system's headers and its own.
    var isC = false
}

let systemModules: Set<String> = [
    "Darwin", "Glibc", "Musl", "Synchronization", "Dispatch", "Foundation", "FoundationEssentials",
]

let houseRules: [ModuleRule] = [
    // C: replaceable. Kernels take pointers and counts.
    ModuleRule(name: "CLMDB", forbidden: ["*"], isC: true),
    ModuleRule(name: "CVectorKernels", forbidden: ["*"], isC: true),
    ModuleRule(name: "CChecksum", forbidden: ["*"], isC: true),

    // A list of byte strings, shared by everybody.
    ModuleRule(name: "PackedStrings", isSystemAllowed: false, forbidden: ["*"]),
    // A storage wrapper ignorant of items.
    ModuleRule(name: "LMDB", house: ["CLMDB"], forbidden: ["NIO*", "ItemStore", "SamplingFrequency", "VectorIndex"]),
    // A pure algorithm, checked against exact counts. Of the system it knows the C library, for log1p and the like.
    ModuleRule(
        name: "SamplingFrequency",
        packages: ["Glibc", "Musl", "Darwin"],
        isSystemAllowed: false,
        forbidden: ["LMDB", "CLMDB", "NIO*", "Foundation", "Dispatch"]
    ),
    // Arithmetic over contiguous bytes; who stored them is irrelevant.
    ModuleRule(name: "VectorIndex", house: ["CVectorKernels"], forbidden: ["LMDB", "CLMDB", "NIO*"]),
    // The engine runs without a socket.
    ModuleRule(
        name: "ItemStore",
        house: ["LMDB", "SamplingFrequency", "VectorIndex", "PackedStrings", "CChecksum"],
        packages: ["Logging", "DequeModule"],
        forbidden: ["NIO*", "WireProtocol", "CLMDB"]
    ),

    // Shared by server and client.
    ModuleRule(
        name: "WireProtocol",
        house: ["PackedStrings"],
        packages: ["NIOCore"],
        forbidden: ["NIOPosix", "ItemStore", "LMDB", "CLMDB"],
        unreachable: ["ItemStore", "LMDB", "CLMDB"]
    ),
    // Connects; holds no algorithm.
    ModuleRule(
        name: "LogQServer",
        house: ["ItemStore", "WireProtocol", "PackedStrings", "SamplingFrequency", "VectorIndex"],
        packages: [
            "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "Logging", "DequeModule", "ServiceLifecycle",
        ],
        forbidden: ["CLMDB", "LMDB", "CVectorKernels"]
    ),
    // A client never links the database.
    ModuleRule(
        name: "LogQClient",
        house: ["WireProtocol", "PackedStrings"],
        packages: ["NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "DequeModule"],
        forbidden: ["ItemStore", "LogQServer"],
        unreachable: ["ItemStore", "LogQServer", "LMDB", "CLMDB"]
    ),
    // The demo sees what any trainer sees.
    ModuleRule(
        name: "DependencyDemo",
        house: ["LogQClient", "CVectorKernels"],
        forbidden: ["ItemStore", "LogQServer"],
        unreachable: ["ItemStore", "LogQServer", "LMDB", "CLMDB"]
    ),

    // Parse arguments, start, exit codes.
    ModuleRule(
        name: "logqd",
        house: ["LogQServer", "ItemStore", "WireProtocol"],
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

extension ModuleRule {
    /// What is wrong with `module` importing `imported`, or nil.
    func objection(toImporting imported: String) -> String? {
        let isForbidden = forbidden.contains { pattern in
            pattern.hasSuffix("*") ? imported.hasPrefix(pattern.dropLast()) : imported == pattern
        }
        if isForbidden { return "\(name) must never import \(imported)" }
        if house.contains(imported) || packages.contains(imported) { return nil }
        if isSystemAllowed && systemModules.contains(imported) { return nil }
        return "\(name) imports \(imported), which the table of the house rules does not allow"
    }

    /// The modules of the house that are reached from this one.
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
