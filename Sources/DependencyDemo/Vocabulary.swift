/// The tokens of package names and sections.
///
/// A token is a maximal sequence of `[a-z0-9]`: "libgimp2.0" gives "libgimp2" and "0". Only the most frequent tokens
/// have an embedding. The tokens of a package are the whole input of its tower.
struct Vocabulary: Sendable {
    let count: Int
    private let numbers: [Substring: Int32]

    init(_ packages: [DependencyData.Package], limit: Int = 20_000) {
        var counts: [Substring: Int] = [:]
        for package in packages {
            for token in Self.tokens(of: package) { counts[token, default: 0] += 1 }
        }
        // Sorted by frequency and then by name, so that every run has the same vocabulary.
        let ranked = counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }.prefix(limit)
        numbers = Dictionary(uniqueKeysWithValues: zip(ranked.map(\.key), Int32(0)...))
        count = numbers.count
    }

    /// The numbers of the package's tokens that have an embedding, including repeats.
    func numbers(of package: DependencyData.Package) -> [Int32] {
        Self.tokens(of: package).compactMap { numbers[$0] }
    }

    static func tokens(of package: DependencyData.Package) -> [Substring] {
        tokens(package.name) + tokens(package.section)
    }

    static func tokens(_ text: String) -> [Substring] {
        let words = text.utf8.split { byte in
            let isLetter = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
            let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            return !isLetter && !isDigit
        }
        return words.map(Substring.init)
    }
}
