import Foundation

/// What PROTOCOL.md promises, as far as a program can read it: usages, and the codes of its table.
struct ProtocolDocument {
    struct Verb {
        var name: String
        /// The one line of its `usage` block.
        var usage: String
        /// `dim`, `metric` ... in the order of the usage, and the values that the usage spells out
        /// (`dot|cosine|l2`), if it does.
        var options: [(name: String, values: [String])]
    }

    var verbs: [Verb] = []
    /// The first column of the table of errors.
    var codes: [String] = []
    /// What may yet be sent by later versions.
    var reservedCodes: [String] = []

    init() throws {
        let url = Transcript.protocolDirectory.appendingPathComponent("PROTOCOL.md")
        let lines = try String(contentsOf: url, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var heading = ""
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("#") { heading = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces) }
            if line == "```usage" {
                let usage = lines[index + 1]
                guard usage == heading || usage.hasPrefix(heading + " "), lines[index + 2] == "```" else {
                    throw HarnessError("PROTOCOL.md:\(index + 2): expected one usage line of \(heading), got \(usage)")
                }
                verbs.append(Verb(name: heading, usage: usage, options: Self.options(of: usage)))
            }
            if let code = line.firstMatch(of: /^\| `([A-Z]+)` \|/), heading == "Errors" { codes.append(String(code.1)) }
            if heading == "Errors", line.hasPrefix("Later versions may also send") {
                reservedCodes = line.matches(of: /`([A-Z]+)`/).map { String($0.1) }
            }
        }
    }

    /// `[unit=q|p|expected] [batch=n]` → `unit` with its three values, `batch` with none: `n` stands for something.
    static func options(of usage: String) -> [(name: String, values: [String])] {
        usage.matches(of: /([a-z_]+)=([^ \]]+)/).map { match in
            let parts = match.2.split(whereSeparator: { $0 == "|" || $0 == "," }).map(String.init)
            // `n`, `id,...` and `a,b` stand for something; `q|p|expected` is what may be written.
            let isSpelledOut = parts.count > 1 && !parts.contains("...") && parts.contains { $0.count > 1 }
            return (String(match.1), isSpelledOut ? parts : [])
        }
    }
}
