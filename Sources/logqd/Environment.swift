import ArgumentParser
import Foundation
import WireProtocol

/// The environment variables of the settings: `--max-ids` is `LOGQD_MAX_IDS`.
enum Environment {
    private static let prefix = "LOGQD_"
    /// The variable that forces a kernel is read by `CVectorKernels`, and is no setting.
    private static let kernel = "LOGQD_KERNEL"

    static func variable(of option: String) -> String {
        prefix + option.uppercased().replacing("-", with: "_")
    }

    static func value(of option: String) -> String? {
        ProcessInfo.processInfo.environment[variable(of: option)]
    }

    static func flag(_ option: String) throws -> Bool? {
        guard let text = value(of: option) else { return nil }
        switch text.lowercased() {
        case "1", "true", "yes": return true
        case "0", "false", "no": return false
        default: throw ValidationError("got \(variable(of: option))='\(text)', expected true or false")
        }
    }

    /// A warning for each variable that begins like a setting and is none.
    static func warnings(
        names: some Sequence<String> = ProcessInfo.processInfo.environment.keys,
        options: [String]
    ) -> [String] {
        let known = options.map(variable) + [kernel]
        return names.filter { $0.hasPrefix(prefix) && !known.contains($0) }.sorted().map { name in
            let hint = closestSpelling(to: name, among: known).map { ", did you mean \($0)?" } ?? ""
            return "got the environment variable \(name), which is no setting\(hint)"
        }
    }
}
