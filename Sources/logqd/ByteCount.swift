import ArgumentParser

/// A number of bytes as an operator writes it: `4294967296`, `4GiB`, `4G` or `4GB`.
struct ByteCount: Equatable {
    let value: Int

    static let forms =
        "bytes, or a number with KiB, MiB, GiB or TiB (powers of 1024; K, M, G, T are the same) or "
        + "KB, MB, GB or TB (powers of 1000)"

    private static let units: [(names: [String], bytes: Int)] = [
        (["", "b"], 1),
        (["k", "kib"], 1 << 10), (["m", "mib"], 1 << 20), (["g", "gib"], 1 << 30), (["t", "tib"], 1 << 40),
        (["kb"], 1_000), (["mb"], 1_000_000), (["gb"], 1_000_000_000), (["tb"], 1_000_000_000_000),
    ]

    init(_ value: Int) {
        self.value = value
    }

    /// Nil if the text has another form, or is above the largest integer.
    init?(text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let number = Int(digits), let known = Self.units.first(where: { $0.names.contains(unit) }) else {
            return nil
        }
        let (value, isOver) = number.multipliedReportingOverflow(by: known.bytes)
        guard !isOver else { return nil }
        self.value = value
    }

    /// Like the other initializer, but throws an error that names the forms.
    @Sendable
    static func parse(_ text: String) throws -> ByteCount {
        guard let count = ByteCount(text: text) else { throw ValidationError("got '\(text)', expected \(forms)") }
        return count
    }
}
