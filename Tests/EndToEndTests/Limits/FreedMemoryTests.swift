#if os(Linux)
import Foundation
import TestSupport
import Testing

/// Memory that the daemon has freed goes back to the system.
@Suite struct FreedMemoryTests {
    private static func anonymousByteCount(_ daemon: DaemonProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(daemon.processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(line.split(separator: " ").compactMap { Int($0) }.first) << 10
    }

    /// Each small object that stays lies between large ones that are freed, so the heap can't shrink at its end.
    @Test func aDropShrinksTheProcess() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        for name in ["large", "small"] { #expect(try socket.ask("CREATE \(name) dim=1 recent=0").header == "OK 0") }
        let text = String(repeating: "x", count: 3_500)
        let count = 30_000
        for start in stride(from: 0, to: count, by: 500) {
            let requests = (start..<start + 500).map { number in
                "FSET large id-\(number) {\"k\":\"\(text)\"}\n"
                    + (number % 10 == 0 ? "FSET small id-\(number) {\"k\":\"\(text.prefix(100))\"}\n" : "")
            }
            try socket.send(Array(requests.joined().utf8))
            for _ in 0..<550 { #expect(try socket.readReply().header == "OK 0") }
        }
        let before = try Self.anonymousByteCount(daemon)
        #expect(before > 100 << 20)
        #expect(try socket.ask("DROP large").header == "OK 0")
        var after = before
        let deadline = Deadline(seconds: TestScale.patienceSeconds)
        while after > before - 90 << 20 {
            try #require(!deadline.hasPassed, "\(before) bytes before the DROP, still \(after)")
            try wait(until: .now + .milliseconds(50))
            after = try Self.anonymousByteCount(daemon)
        }
        #expect(try socket.ask("FGET small id-10").header == "OK 1")
        try daemon.stop()
    }
}
#endif
