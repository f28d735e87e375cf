import Foundation
import TestSupport
import Testing

/// The bound of features, on the real daemon.
@Suite struct FeatureBoundTests {
    private static let longest = 65_535

    private static func json(_ length: Int, _ letter: String = "x") -> String {
        "{\"k\":\"\(String(repeating: letter, count: length - 8))\"}"
    }

    /// The journal has the features after a kill, and the tables have them after a stop.
    @Test func featuresAtTheBoundAreTakenAndSurviveAKill() throws {
        let directory = try TemporaryDirectory()
        var daemon = try DaemonProcess(directory: directory)
        var socket = try daemon.connect()
        let (first, last) = (Self.json(Self.longest), Self.json(Self.longest, "y"))
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        #expect(try socket.ask("PUT c a [1] \(first)").header == "OK 0")
        #expect(try socket.ask("FSET c b \(first)").header == "OK 0")
        func refuse(_ request: String, _ message: String) throws {
            #expect(try socket.ask(request).header == "ERR LIMIT \(message)")
        }
        func check(_ a: String) throws {
            #expect(try socket.ask("FGET c a b").rows == ["a \(a)", "b \(first)"])
            #expect(try socket.ask("TOPK c 1 with=features [1]").rows == ["a 1 \(a)"])
            #expect(try socket.ask("GET c a").rows == ["a [1]"])
        }
        let tooLong = Self.json(Self.longest + 1)
        for _ in 0..<2 {
            try refuse("PUT c a [2] \(tooLong)", "got JSON of more than 65535 bytes, minified")
            try refuse("FSET c b \(tooLong)", "got JSON of more than 65535 bytes, minified")
            let merged = "got features that would have 65541 bytes when merged, expected at most 65535"
            try refuse("FSET c a merge=true {\"l\":1}", merged)
            try check(first)
            try daemon.kill()
            daemon = try DaemonProcess(directory: directory)
            socket = try daemon.connect()
            try check(first)
            try daemon.stop()
            daemon = try DaemonProcess(directory: directory)
            socket = try daemon.connect()
            try check(first)
        }
        #expect(try socket.ask("FSET c a merge=true {\"k\":\"\(last.dropFirst(6).dropLast(2))\"}").header == "OK 0")
        try check(last)
        try daemon.kill()
        daemon = try DaemonProcess(directory: directory)
        socket = try daemon.connect()
        try check(last)
        try daemon.stop()
    }

    /// Replies with more features than fit are refused, and the connection goes on. A reply that fits is whole.
    @Test func repliesWithManyLongFeaturesAreBounded() throws {
        let directory = try TemporaryDirectory()
        let flags = ["--max-reply-bytes", "1048576"]
        let daemon = try DaemonProcess(directory: directory, options: DaemonProcess.Options(flags: flags))
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        let json = Self.json(Self.longest)
        for id in 1...100 { #expect(try socket.ask("PUT c i\(id) [\(id)] \(json)").header == "OK 0") }
        let ids = (1...100).map { "i\($0)" }
        func rows(_ request: String) throws -> [String] { try socket.ask(request).rows }
        #expect(try rows("TOPK c 15 with=features [1]") == (86...100).reversed().map { "i\($0) \($0) \(json)" })
        #expect(try rows("FGET c " + ids[..<15].joined(separator: " ")) == ids[..<15].map { "\($0) \(json)" })
        #expect(try rows("SAMPLE c 15 with=features").filter { $0.hasSuffix(json) }.count == 15)
        for request in [
            "TOPK c 16 with=features [1]", "TOPK c 100 with=features [1]", "SAMPLE c 16 with=features",
            "SAMPLE c 10000 with=features", "FGET c " + ids[..<16].joined(separator: " "),
            "FGET c " + ids.joined(separator: " "), "TOPK c 1 range_min=80 with=features [1]",
        ] {
            let header = try socket.ask(request).header
            #expect(header.hasPrefix("ERR LIMIT got "), "\(request.prefix(60)): \(header)")
        }
        #expect(try rows("SCAN c").count == 100)
        #expect(try rows("GET c " + ids.joined(separator: " ")).count == 100)
        #expect(try rows("FGET c fields=none " + ids.joined(separator: " ")) == ids.map { "\($0) {}" })
        #expect(try rows("TOPK c 100 [1]").count == 100)
        try daemon.stop()
    }
}
