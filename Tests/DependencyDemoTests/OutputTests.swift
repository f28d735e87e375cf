// Tests of the printed output, and of the child process.

import Foundation
import Testing

// The demo has a DaemonProcess of its own.
import class TestSupport.TemporaryDirectory

@testable import DependencyDemo

@Suite struct OutputTests {
    @Test func percentiles() {
        var latencies = Latencies()
        #expect(latencies.percentile(0.5) == .zero)
        for milliseconds in (1...100).shuffled() { latencies.append(.milliseconds(milliseconds)) }
        #expect(latencies.percentile(0.5) == .milliseconds(51))
        #expect(latencies.percentile(0.99) == .milliseconds(100))
    }

    @Test func numbers() {
        #expect(0.grouped == "0")
        #expect(999.grouped == "999")
        #expect(277_181.grouped == "277,181")
        #expect((-1_234_567).grouped == "-1,234,567")
        #expect((2.0 / 3).rounded(to: 3) == "0.667")
    }

    @Test func aPowerLawIsAStraightLine() {
        let plot = PopularityPlot(counts: (1...10_000).map { (100_000 / Double($0)).rounded() })
        for line in plot.lines { print(line) }
        #expect(plot.lines.count == 10)
        // In the last column, 1 is 1/2.25 of the way from 10 to 100,000. The first column is full.
        #expect(plot.lines[0].hasPrefix("100,000 │██"))
        #expect(plot.lines.prefix(8).allSatisfy { $0.count == 69 })
        #expect(plot.lines[9].hasSuffix("10,000"))
        #expect(PopularityPlot(counts: []).lines.isEmpty)
        #expect(PopularityPlot(counts: [1, 0]).lines.count == 10)
    }
}

@Suite struct DaemonProcessTests {
    /// Runs `body` with a script in place of the daemon.
    private func withScript(_ text: String, _ body: (String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let path = directory.path + "/script"
        try Data(("#!/bin/sh\n" + text).utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        try await body(path)
    }

    @Test func startsWaitsAndRemovesItsFiles() async throws {
        // The script puts its directory into the path of the socket, and ends on SIGTERM.
        let script = """
            trap 'exit 0' TERM
            echo "2026-01-01 info logqd: ready tcp=127.0.0.1:4711 unix=$4" >&2
            while :; do sleep 0.05; done
            """
        try await withScript(script) { path in
            let daemon = try await DaemonProcess.start(executable: path)
            #expect(daemon.port == 4711)
            let directory = URL(fileURLWithPath: daemon.unixSocketPath).deletingLastPathComponent().path
            #expect(FileManager.default.fileExists(atPath: directory))
            #expect(kill(daemon.processIdentifier, 0) == 0)
            daemon.stop()
            #expect(kill(daemon.processIdentifier, 0) != 0)
            #expect(!FileManager.default.fileExists(atPath: directory))
        }
    }

    @Test func tellsWhyItDidNotStart() async throws {
        try await withScript("echo 'no room for me' >&2; exit 3") { path in
            let error = await #expect(throws: DemoError.self) { try await DaemonProcess.start(executable: path) }
            #expect(error?.description.contains("no room for me") == true)
        }
        await #expect(throws: DemoError.self) { try await DaemonProcess.start(executable: "/nowhere/logqd") }
    }
}
