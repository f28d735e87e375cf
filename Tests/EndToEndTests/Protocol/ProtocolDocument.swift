import Foundation
import TestSupport

/// The machine-readable content of PROTOCOL.md: the usage lines, and the codes of its table.
struct ProtocolDocument {
    struct Verb {
        var name: String
        /// The single line of its `usage` block.
        var usage: String
        /// `dim`, `metric` ... in the order of the usage. If the usage lists the values of an option (`dot|cosine|l2`),
        /// they follow its name.
        var options: [(name: String, values: [String])]
    }

    var verbs: [Verb] = []
    /// The first column of the table of errors.
    var codes: [String] = []
    /// Codes that later versions may send.
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

    /// `[unit=q|p|expected] [batch=n]` → `unit` with its three values, and `batch` with none, because `n` is a
    /// placeholder.
    static func options(of usage: String) -> [(name: String, values: [String])] {
        usage.matches(of: /([a-z_]+)=([^ \]]+)/).map { match in
            let parts = match.2.split(whereSeparator: { $0 == "|" || $0 == "," }).map(String.init)
            // `n`, `id,...` and `a,b` are placeholders; `q|p|expected` are literal values.
            let isSpelledOut = parts.count > 1 && !parts.contains("...") && parts.contains { $0.count > 1 }
            return (String(match.1), isSpelledOut ? parts : [])
        }
    }
}
