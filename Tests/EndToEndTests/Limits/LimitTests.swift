import Foundation
import TestSupport
import Testing

/// Limits of the system on the real daemon: descriptors, address space and memory.
@Suite struct LimitTests {
    /// The value of a row of `INFO`.
    private func info(_ name: String, _ section: String, _ socket: LineSocket) throws -> String {
        let rows = try socket.ask("INFO \(section)").rows
        return String(try #require(rows.first { $0.hasPrefix(name + " ") }).dropFirst(name.count + 1))
    }

    /// Every connection is served, or told that there are too many, or closed. None hangs.
    @Test func moreConnectionsThanDescriptors() throws {
        let directory = try TemporaryDirectory()
        let options = DaemonProcess.Options(flags: ["--threads", "1"], ulimit: "-n 64")
        let daemon = try DaemonProcess(directory: directory, options: options)
        #expect(daemon.log.contains("fewer connections than --max-connections"))
        let sockets = try (0..<100).map { _ in try daemon.connect() }
        let headers = sockets.map { (try? $0.ask("PING").header) ?? "closed" }
        let served = headers.count { $0 == "OK 0" }
        #expect((16..<64).contains(served), "\(headers)")
        #expect(headers.allSatisfy { $0 == "OK 0" || $0 == "closed" || $0.hasPrefix("ERR LIMIT ") }, "\(headers)")
        #expect(headers.contains { $0.hasPrefix("ERR LIMIT ") }, "\(headers)")
        let first = try #require(zip(sockets, headers).first { $0.1 == "OK 0" }?.0)
        #expect(Int(try info("connections-refused", "server", first)) == 100 - served)
        #expect(Int(try info("max-connections", "limits", first)) == served)
        try daemon.stop()
    }

    #if os(Linux)
    /// If another program uses up the descriptors, the daemon tries to accept once a second, and not all the time.
    @Test func acceptingPausesWhileThereAreNoDescriptors() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        func errorCount() throws -> Int { Int(try info("accept-errors", "server", socket)) ?? 0 }
        try daemon.setDescriptorLimit(try daemon.descriptorCount() + 3)
        let others = try (0..<20).map { _ in try daemon.connect() }
        let start = ContinuousClock.now
        try wait(until: { (try? errorCount() >= 3) ?? true }, "accepting fails three times")
        // Each of the listeners tries once a second.
        let seconds = Int((ContinuousClock.now - start) / .seconds(1))
        #expect(try errorCount() <= 4 * (seconds + 2))
        try daemon.setDescriptorLimit(1_000)
        for other in others { #expect(try other.ask("PING").header == "OK 0") }
        try daemon.stop()
    }
    #endif

    /// Sanitizers need more address space than any such limit leaves.
    @Test(.disabled(if: ProcessInfo.processInfo.environment["TSAN_OPTIONS"] != nil))
    func aLimitOnAddressSpaceMakesTheMapSmaller() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory, options: DaemonProcess.Options(ulimit: "-v 8000000"))
        let socket = try daemon.connect()
        #expect(try info("map-bytes", "storage", socket) == "4096000000")
        #expect(try socket.ask("CREATE c dim=2").header == "OK 0")
        #expect(try socket.ask("PUT c a [1,2]").header == "OK 0")
        #expect(daemon.log.contains("half of the address space"))
        // There is not enough address space for a thousand collections, which is no reason to end.
        let headers = try (0..<300).map { try socket.ask("CREATE c\($0) dim=1").header }
        #expect(headers.allSatisfy { $0 == "OK 0" || $0.hasPrefix("ERR FULL ") }, "\(headers.last ?? "")")
        #expect(try socket.ask("GET c a").rows == ["a [1,2]"])
        try daemon.stop()
    }

    /// Clients that do not read their replies hold little, and others are served meanwhile.
    @Test func clientsThatDoNotReadDoNotUseUpTheMemory() throws {
        let directory = try TemporaryDirectory()
        let flags = ["--max-connection-bytes", "1048576"]
        let daemon = try DaemonProcess(directory: directory, options: DaemonProcess.Options(flags: flags))
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1000").header == "OK 0")
        let vector = "[0.5" + String(repeating: ",0.5", count: 999) + "]"
        #expect(try socket.ask("PUT c a \(vector)").header == "OK 0")
        let large = "GET c" + String(repeating: " a", count: 128)
        var greedy = try (0..<6).map { _ in try daemon.connect() }
        for client in greedy { try client.send(String(repeating: large + "\n", count: 100)) }
        try wait(until: { (try? Int(info("connections-bytes", "memory", socket))) ?? 0 > 1 << 20 }, "much is held")
        #expect(try socket.ask(large).header.hasPrefix("ERR BUSY "))
        #expect(try socket.ask("GET c a").rows == ["a \(vector)"])
        #expect(try socket.ask("PUT c b \(vector)").header == "OK 0")
        #expect(try Int(info("connections-bytes", "memory", socket))! < 3 << 20)
        // A client that reads after all gets an answer to each request.
        for _ in 0..<100 { #expect(try greedy[0].readReply().header.contains(#/^OK 128$|^ERR BUSY /#)) }
        greedy = []
        try wait(until: { (try? info("connections-bytes", "memory", socket)) == "0" }, "nothing is held")
        #expect(try socket.ask(large).header == "OK 128")
        try daemon.stop()
    }

    @Test func aStartSaysThatTheDataExceedTheMemory() throws {
        let directory = try TemporaryDirectory()
        var daemon = try DaemonProcess(directory: directory)
        #expect(daemon.log.contains("bytes of "), "the log says where the limit of memory comes from")
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=64").header == "OK 0")
        let vector = "[1" + String(repeating: ",0.5", count: 63) + "]"
        try socket.send((0..<8_000).map { "PUT c item-\($0) \(vector)\n" }.joined())
        for _ in 0..<8_000 { #expect(try socket.readReply().header == "OK 0") }
        try daemon.stop()
        let flags = ["--max-memory-bytes", "1048576"]
        daemon = try DaemonProcess(directory: directory, options: DaemonProcess.Options(flags: flags))
        let warning = try #require(daemon.log.range(of: "may not fit the memory"))
        let opened = try #require(daemon.log.range(of: "opened"))
        #expect(warning.lowerBound < opened.lowerBound)
        try daemon.stop()
    }
}
