internal import Foundation

/// The bundled data: the dependencies of Debian packages.
///
/// A *package* is a query, and a *dependency* is an item to find. Packages are numbered in the order of the file, and
/// dependencies in the order of their names.
struct DependencyData: Sendable {
    struct Package: Sendable {
        let name: String
        let section: String
        /// Indices into `dependencyNames`, ascending.
        let dependencies: [Int32]
    }

    let packages: [Package]
    let dependencyNames: [String]
    var pairCount: Int { packages.reduce(0) { $0 + $1.dependencies.count } }

    /// Reads lines `package TAB section TAB dependency SP dependency ...`.
    init(parsing text: some Collection<UInt8>) throws(DemoError) {
        // Split bytes, because splitting characters takes ten times as long.
        var lines: [[Substring]] = []
        var names: Set<Substring> = []
        for line in String(decoding: text, as: UTF8.self).utf8.split(separator: UInt8(ascii: "\n")) {
            let columns = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
            guard columns.count == 3, !columns[0].isEmpty else {
                let start = Substring(line.prefix(60))
                throw DemoError("data: got \(columns.count) columns in '\(start)', expected 3")
            }
            let dependencies = columns[2].split(separator: UInt8(ascii: " ")).map(Substring.init)
            names.formUnion(dependencies)
            lines.append([Substring(columns[0]), Substring(columns[1])] + dependencies)
        }
        let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let numbers = Dictionary(uniqueKeysWithValues: zip(sorted, Int32(0)...))
        dependencyNames = sorted.map(String.init)
        packages = lines.map { line in
            Package(
                name: String(line[0]),
                section: String(line[1]),
                dependencies: line[2...].map { numbers[$0]! }.sorted()
            )
        }
    }

    /// The file in this module's bundle.
    static func bundled() throws(DemoError) -> DependencyData {
        guard let url = Bundle.module.url(forResource: "debian-12-dependencies", withExtension: "tsv"),
            let bytes = try? Data(contentsOf: url)
        else {
            throw DemoError("the bundled file debian-12-dependencies.tsv is missing from \(Bundle.module.bundlePath)")
        }
        return try DependencyData(parsing: bytes)
    }
}

/// One training or test example: this package needs this dependency.
struct Pair: Sendable, Equatable {
    let package: Int32
    let dependency: Int32
}

extension DependencyData {
    /// Splits all pairs at random: `share` of them are held out, and the model learns from the rest.
    func split(heldOut share: Double = 0.1, seed: UInt64) -> (training: [Pair], heldOut: [Pair]) {
        var random = SeededRandom(seed: seed)
        var pairs: [Pair] = []
        for (number, package) in packages.enumerated() {
            pairs += package.dependencies.map { Pair(package: Int32(number), dependency: $0) }
        }
        pairs.shuffle(using: &random)
        let cut = Int((Double(pairs.count) * share).rounded())
        return (Array(pairs[cut...]), Array(pairs[..<cut]))
    }
}

struct DemoError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
