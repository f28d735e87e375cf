import Foundation
import LogQClient
import TestSupport
import Testing

/// PROTOCOL.md, the transcripts and the daemon agree: a transcript tries everything that the page promises, and the
/// page describes everything that the daemon knows.
@Suite("PROTOCOL.md", .timeLimit(.minutes(5)))
struct ProtocolDocumentTests {
    let document: ProtocolDocument
    /// All requests of all transcripts, as words.
    let requests: [[String]]
    let expectedLines: [String]

    init() throws {
        document = try ProtocolDocument()
        requests = Transcript.files.flatMap(\.requests).map { $0.split(separator: " ").map(String.init) }
        expectedLines = Transcript.files.flatMap(\.expectedLines)
    }

    @Test("the page was read")
    func wasRead() {
        #expect(document.verbs.count == 25, "\(document.verbs.map(\.name))")
        #expect(document.codes.count == 15, "\(document.codes)")
        #expect(document.reservedCodes.count == 4, "\(document.reservedCodes)")
        let logQ = document.verbs.first { $0.name == "LOGQ" }
        #expect(logQ?.options.map(\.name) == ["unit", "batch", "strength"])
        #expect(logQ?.options.map(\.values) == [["q", "p", "expected"], [], []])
    }

    @Test("the client has the metrics of the page")
    func clientHasTheMetrics() {
        let create = document.verbs.first { $0.name == "CREATE" }
        let metrics = create?.options.first { $0.name == "metric" }?.values
        #expect(metrics == Metric.allCases.map(\.rawValue))
    }

    @Test("every verb, option and spelled-out value occurs in a transcript")
    func verbsAndOptionsOccur() {
        for verb in document.verbs {
            let uses = requests.filter { $0.first?.uppercased() == verb.name }
            #expect(!uses.isEmpty, "no transcript uses \(verb.name)")
            for (option, values) in verb.options {
                let given = uses.joined().filter { $0.lowercased().hasPrefix("\(option)=") }
                #expect(!given.isEmpty, "no transcript uses \(verb.name) \(option)=")
                let givenValues = given.flatMap {
                    $0.dropFirst(option.count + 1).split(separator: ",").map(String.init)
                }
                for value in values {
                    #expect(givenValues.contains(value), "no transcript uses \(verb.name) \(option)=\(value)")
                }
            }
        }
    }

    @Test("every code but BUSY occurs in a transcript, and no other does")
    func codesOccur() {
        let seen = Set(expectedLines.compactMap { $0.firstMatch(of: #/^ERR ([A-Z]+) /#).map { String($0.1) } })
        // Whether a write or a query is BUSY depends on the moment: see `ServerTests` and `QueryPoolTests`.
        #expect(seen == Set(document.codes).subtracting(["BUSY"]))
    }

    @Test("every state occurs in a transcript", arguments: ["seen", "once", "unseen", "stale"])
    func statesOccur(_ state: String) {
        #expect(expectedLines.contains { $0.hasSuffix(" state=\(state)") })
        #expect(expectedLines.contains { $0.contains(#/^[^ ]+ -?[0-9.e-]+ /#) && $0.hasSuffix(" \(state)") })
    }

    @Test("HELP has the usages of the page, in its order")
    func helpHasTheUsages() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        let overview = try socket.ask("HELP")
        let separator = " -- "
        #expect(overview.rows.map { $0.components(separatedBy: separator)[0] } == document.verbs.map(\.usage))
        for (verb, row) in zip(document.verbs, overview.rows) {
            let help = try socket.ask("HELP \(verb.name)")
            #expect(help.rows.first == row)
            // One row for each option, in the order of the usage. Then the example, which uses this verb and works.
            let options = help.rows.dropFirst().dropLast().map { String($0.prefix { $0 != "=" }) }
            #expect(options == verb.options.map(\.name), "HELP \(verb.name): \(help.rows)")
            let example = try #require(help.rows.last)
            #expect(example.hasPrefix("example: \(verb.name)"), "\(example)")
        }
        socket.shutDownSending()
        try daemon.stop()
    }

    @Test("the examples of HELP work unchanged")
    func examplesCanBeTyped() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        // Run the verbs last that end the connection or drop the collection.
        let last = ["DROP", "QUIT"]
        let names = document.verbs.map(\.name).filter { !last.contains($0) } + last
        // One of the examples names this second collection.
        #expect(try socket.ask("CREATE songs-next dim=2 metric=cosine").header == "OK 0")
        for name in names {
            let example = try #require(try socket.ask("HELP \(name)").rows.last).dropFirst("example: ".count)
            let reply = try socket.ask(String(example))
            #expect(reply.header.hasPrefix("OK "), "\(example) got \(reply.header)")
        }
        try daemon.stop()
    }
}
