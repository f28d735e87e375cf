import Foundation
import TestSupport

/// Programs of the system that tests use as clients: they may be missing.
enum Program {
    /// Whether a command runs and exits with 0.
    static func runs(_ command: String...) -> Bool {
        guard let child = try? ChildProcess(["/usr/bin/env"] + command) else { return false }
        return (try? child.waitForExit(within: 60)) == .exited(0)
    }

    /// The standard output of a command, which must exit with 0.
    static func output(of command: [String]) throws -> String {
        let child = try ChildProcess(["/usr/bin/env"] + command)
        let status = try child.waitForExit(within: 120)
        guard status == .exited(0) else {
            throw HarnessError(
                "\(command): got \(status), expected exit code 0. It said:\n\(child.output)\n\(child.errorOutput)"
            )
        }
        return child.output
    }
}
