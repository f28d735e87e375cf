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

extension ProtocolDocument {
    /// The section "A client in an afternoon".
    struct ClientSection {
        var programs: [(language: String, text: String)] = []
        /// What each program sends.
        var requests: [String] = []
        /// What each program prints.
        var output = ""

        init() throws {
            let url = Transcript.protocolDirectory.appendingPathComponent("PROTOCOL.md")
            let lines = try String(contentsOf: url, encoding: .utf8)
                .split(separator: "\n", omittingEmptySubsequences: false)
            guard let start = lines.firstIndex(of: "## A client in an afternoon") else {
                throw HarnessError("PROTOCOL.md: got no section 'A client in an afternoon', expected one")
            }
            let section = lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
            var language: String?
            var text = ""
            for line in section {
                if line == "```", let ended = language {
                    switch ended {
                    case "requests": requests = text.split(separator: "\n").map(String.init)
                    case "output": output = text
                    default: programs.append((ended, text))
                    }
                    language = nil
                } else if line.hasPrefix("```") {
                    language = String(line.dropFirst(3))
                    text = ""
                } else if language != nil {
                    text += line + "\n"
                }
            }
        }
    }
}
