#if os(Linux)
import Foundation
import TestSupport
import Testing

/// The recipes of OPERATING.md are usable: the unit of systemd, the container's variables, and every option in them.
@Suite("Recipes of OPERATING.md", .timeLimit(.minutes(5)))
struct RecipeTests {
    private let page: String
    private let directory: TemporaryDirectory

    init() throws {
        let url = Transcript.protocolDirectory.appendingPathComponent("OPERATING.md")
        page = try String(contentsOf: url, encoding: .utf8)
        directory = try TemporaryDirectory()
    }

    /// The content of the first block of a language in a section.
    private func block(_ language: String, in section: String) throws -> String {
        let afterHeading = try #require(page.range(of: "\n## \(section)\n")).upperBound
        let start = try #require(page.range(of: "```\(language)\n", range: afterHeading..<page.endIndex)).upperBound
        let end = try #require(page.range(of: "```\n", range: start..<page.endIndex)).lowerBound
        return String(page[start..<end])
    }

    /// The daemon becomes ready with these arguments and variables, and stops.
    private func expectServes(_ arguments: [String], _ variables: [String: String]) throws {
        let child = try ChildProcess(
            [try DaemonProcess.executable()] + arguments,
            environment: DaemonProcess.testEnvironment.merging(variables) { $1 }
        )
        _ = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "ready") { $0.contains(" ready ") }
        child.send(signal: SIGTERM)
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        #expect(!child.errorOutput.contains("which is no setting"), "\(child.errorOutput)")
    }

    /// `NAME=value` as a pair.
    private static func pair(_ text: Substring) -> (String, String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), String(parts.last ?? ""))
    }

    @Test("the unit is valid, and its command serves")
    func theUnitIsUsable() throws {
        let executable = try DaemonProcess.executable()
        let unit = try block("ini", in: "systemd")
        let lines = unit.split(separator: "\n")
        let command = try #require(lines.first { $0.hasPrefix("ExecStart=") }).dropFirst("ExecStart=".count)
        let paths = ["/var/lib/logqd": directory.path + "/data", "/run/logqd": directory.path]
        var arguments = command.split(separator: " ").dropFirst().map(String.init)
        for (path, replacement) in paths { arguments = arguments.map { $0.replacing(path, with: replacement) } }
        let environment = lines.filter { $0.hasPrefix("Environment=") }.map { Self.pair($0.dropFirst(12)) }
        // The default port may be in use on the machine of this test.
        try expectServes(arguments + ["--listen", "127.0.0.1:0"], Dictionary(uniqueKeysWithValues: environment))

        let analyze = "/usr/bin/systemd-analyze"
        guard FileManager.default.isExecutableFile(atPath: analyze) else { return }
        let path = directory.path + "/logqd.service"
        try unit.replacing("/usr/local/bin/logqd", with: executable).write(
            toFile: path,
            atomically: true,
            encoding: .utf8
        )
        let verification = try ChildProcess([analyze, "verify", path])
        #expect(try verification.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        let complaints = verification.errorOutput.split(separator: "\n").filter { $0.contains("logqd.service") }
        #expect(complaints.isEmpty, "\(verification.errorOutput)")
    }

    @Test("the container's variables are settings, and serve")
    func theContainerIsUsable() throws {
        let command = try block("sh", in: "Containers")
        var variables: [String: String] = [:]
        for match in command.matches(of: /-e ([A-Z_]+)=([^ \\\n]+)/) { variables[String(match.1)] = String(match.2) }
        #expect(variables["LOGQD_DATA"] == "/data" && variables["LOGQD_LISTEN"] == "0.0.0.0:5647")
        variables["LOGQD_DATA"] = directory.path + "/data"
        variables["LOGQD_LISTEN"] = "0.0.0.0:0"
        try expectServes([], variables)
    }

    @Test("the table of options has exactly the options of --help")
    func theTableHasAllOptions() throws {
        let child = try ChildProcess([try DaemonProcess.executable(), "--help"])
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        let helped = child.output.matches(of: /(?m)^ +(?:-., )?(--[a-z0-9-]+)/).map { String($0.1) }
        let tabled = page.matches(of: /(?m)^\| `(--[a-z0-9-]+)` \|/).map { String($0.1) }
        #expect(Set(tabled) == Set(helped).subtracting(["--help", "--version"]))
        #expect(tabled.count == Set(tabled).count)
    }
}
#endif
