import Foundation
import ItemStore
import TestSupport
import Testing
import VectorIndex
import WireProtocol

@testable import LogQServer

extension ServerSuite {
    /// Real sockets, a real store, the server in this process.
    @Suite(.serialized)
    struct ServerTests {
        private static let burst = """
            PING
            CREATE c dim=2
            PUT c a [1,0]
            PUT c b [0,1] {"n": 1}
            GET c a b x
            DEL c a a
            GET c a
            NOPE
            TOPK c 3 [1,1]
            PUT c a [2,2]
            TOPK c 3 with=features [1,1]
            SCORE c [1,1] a b x
            OBSERVE c 1 a b a
            LOGQ c a
            FGET c b a
            PUT c a [1,2,3]
            PUT nowhere a [1]
            COLLECTIONS
            DROP c
            GET c a

            """

        private static let replies = """
            OK 0
            OK 0
            OK 0
            OK 0
            OK 3
            a [1,0]
            b [0,1]
            x -
            OK 2
            a 1
            a 0
            OK 1
            a -
            ERR UNKNOWN got 'NOPE', expected a verb (HELP lists them)
            OK 1
            b 1
            OK 0
            OK 2
            a 4 -
            b 1 {"n":1}
            OK 3
            a 4
            b 1
            x -
            OK 0
            OK 1
            a -0.40546510810816444 once
            OK 2
            b {"n":1}
            a -
            ERR DIM got 3 numbers, expected 2
            ERR NOCOLLECTION there is no collection 'nowhere'
            OK 1
            c dim=2 metric=dot alpha=0.01 items=2 ids=2 half_life=- recent=16384 max_ids=- buckets=- hashes=-
            OK 0
            ERR NOCOLLECTION there is no collection 'c'

            """

        @Test(arguments: [1, 3, 17, 100_000])
        func answersABurstInOrderForPiecesOfAnySize(pieceBytes: Int) async throws {
            try await withServer { server in
                let client = try server.connect()
                let bytes = Array((Self.burst + Self.burst).utf8)
                for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
                    try await client.send(Array(bytes[start..<min(start + pieceBytes, bytes.count)]))
                }
                client.shutDownSending()
                #expect(try await client.readToEnd() == Self.replies + Self.replies)
            }
        }

        @Test func anIncompleteLineIsNotARequest() async throws {
            try await withServer { server in
                let client = try server.connect()
                try await client.send("PING\nPING")
                client.shutDownSending()
                #expect(try await client.readToEnd() == "OK 0\n")
            }
        }

        @Test func quitEndsTheConnection() async throws {
            try await withServer { server in
                let client = try server.connect()
                try await client.send("CREATE c dim=1\nQUIT\nPING\nPING\n")
                #expect(try await client.readToEnd() == "OK 0\nOK 0\n")
            }
        }

        @Test(arguments: [
            ("PING\n" + String(repeating: "x", count: 2_000), "OK 0\nERR LIMIT "),
            (String(repeating: "x", count: 2_000) + "\nPING\n", "ERR LIMIT "),
            ("\u{16}\u{3}\u{1}", "ERR BADREQUEST "),
        ])
        func lostFramingEndsTheConnection(text: String, expected: String) async throws {
            try await withServer { server, _ in
                server.limits.lineBytesMax = 1_000
            } _: { server in
                let client = try server.connect()
                try await client.send(text)
                let answer = try await client.readToEnd()
                #expect(answer.hasPrefix(expected))
                #expect(answer.split(separator: "\n").count == expected.split(separator: "\n").count)
            }
        }

        @Test func refusesConnectionsPastTheBound() async throws {
            try await withServer { server, _ in
                server.connectionsMax = 2
            } _: { server in
                var clients = [try server.connect(), try server.connect()]
                for client in clients { #expect(try await client.ask("PING") == ["OK 0"]) }
                #expect(try await server.connect().readToEnd().hasPrefix("ERR LIMIT "))
                clients.removeLast()
                // The server notices the end of a connection after a short time, not at once.
                var reply: [String]?
                for _ in 0..<1_000 where reply != ["OK 0"] {
                    reply = try? await server.connect().ask("PING")
                    if reply != ["OK 0"] { try await Task.sleep(for: .milliseconds(5)) }
                }
                #expect(reply == ["OK 0"])
            }
        }

        @Test func saysWhereItCannotListen() async throws {
            try await withServer { first in
                let inUse = await #expect(throws: SocketInUse.self) {
                    try await withServer { server, _ in
                        server.tcp = [ListenAddress(host: "127.0.0.1", port: first.port)]
                    } _: { _ in
                    }
                }
                #expect(inUse?.address == "127.0.0.1:\(first.port)")
            }
            let failure = await #expect(throws: ListenFailure.self) {
                try await withServer { server, _ in
                    server.unix = UnixSocket(path: "/nowhere/logqd.sock")
                } _: { _ in
                }
            }
            #expect(failure?.description == "could not listen on /nowhere/logqd.sock: No such file or directory")
        }

        /// Refused clients that stay connected for a while do not count, so another client is admitted.
        @Test func aRefusedConnectionDoesNotCount() async throws {
            try await withServer { server, _ in
                server.connectionsMax = 2
            } _: { server in
                let first = try server.connect()
                var second: TestClient? = try server.connect()
                for client in [first, second] { #expect(try await client?.ask("PING") == ["OK 0"]) }
                let refused = try (0..<3).map { _ in try server.connect() }
                for client in refused { #expect(try await client.readReply()?.first?.hasPrefix("ERR LIMIT ") == true) }
                second = nil
                var connections = ""
                for _ in 0..<1_000 where connections != "connections 4" {
                    connections = try await first.ask("INFO server").first { $0.hasPrefix("connections ") } ?? ""
                    if connections != "connections 4" { try await Task.sleep(for: .milliseconds(1)) }
                }
                #expect(connections == "connections 4")
                #expect(try await server.connect().ask("PING") == ["OK 0"])
                #expect(refused.count == 3)
            }
        }

        @Test func longLookupsAreAnsweredInSlices() async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=3") == ["OK 0"])
                let ids = (0..<16_384).map { "id\($0)" }
                try await client.send(ids.map { "PUT c \($0) [1,2,\($0.dropFirst(2))]\n" }.joined())
                for _ in ids { #expect(try await client.readReply() == ["OK 0"]) }
                try await client.send("GET c \(ids.joined(separator: " "))\nPING\n")
                let reply = try #require(try await client.readReply())
                #expect(reply.count == 1 + ids.count)
                #expect(reply.dropFirst().elementsEqual(ids.map { "\($0) [1,2,\($0.dropFirst(2))]" }))
                #expect(try await client.readReply() == ["OK 0"])
            }
        }

        /// Two clients with long requests do not block the other connections of their event loops. A machine with much
        /// else to do may run this client only after the long answers, so it tries several times.
        @Test func longLookupsLetOtherConnectionsHaveTheirTurn() async throws {
            try await withServer { server in
                let other = try server.connect()
                #expect(try await other.ask("CREATE c dim=64") == ["OK 0"])
                let vector = "[" + Array(repeating: "0.5", count: 64).joined(separator: ",") + "]"
                #expect(try await other.ask("PUT c a \(vector)") == ["OK 0"])
                let request = "GET c" + String(repeating: " a", count: 16_384) + "\n"
                let clients = [try server.connect(), try server.connect()]
                var hadTurn = false
                for _ in 0..<20 where !hadTurn {
                    for client in clients { try await client.send(request) }
                    // By the second answer at the latest, the long requests have arrived.
                    for _ in 0..<2 { #expect(try await other.ask("PING") == ["OK 0"]) }
                    hadTurn = !clients.contains { $0.hasUnreadBytes }
                    for client in clients { #expect(try await client.readReply()?.count == 16_385) }
                }
                #expect(hadTurn)
            }
        }

        @Test func boundsAReply() async throws {
            try await withServer { server, _ in
                server.limits.replyBytesMax = 20_000
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                for count in [100, 3_000, 16_000] {
                    let ids = (0..<count).map { "x\($0)" }.joined(separator: " ")
                    let reply = try await client.ask("GET c \(ids)")
                    #expect(count == 100 ? reply.count == 101 : reply[0].hasPrefix("ERR LIMIT "))
                    // A reply that is much too long is refused before its rows are read.
                    #expect(reply[0].hasSuffix(" of them fit") == (count == 16_000), "\(reply[0])")
                }
                #expect(try await client.ask("PING") == ["OK 0"])
            }
        }

        /// The server soon stops reading from a client that does not read. When the client reads again, no reply is
        /// missing.
        @Test func stopsReadingFromAClientThatDoesNotRead() async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                let ids = (0..<1_000).map { "some-quite-long-id-\($0)" }
                let request = Array("GET c \(ids.joined(separator: " "))\n".utf8)
                var sentCount = 0
                var stuckCount = 0
                // The replies to 100 MB of requests would be as large.
                while sentCount < 100_000_000, stuckCount < 20 {
                    let rest = Array(request[(sentCount % request.count)...])
                    let count = client.sendWithoutWaiting(rest)
                    sentCount += count
                    stuckCount = count == 0 ? stuckCount + 1 : 0
                    if count == 0 { try await Task.sleep(for: .milliseconds(20)) }
                }
                #expect(sentCount < 50_000_000)
                client.shutDownSending()
                let lines = try await client.readToEnd().split(separator: "\n")
                let requestCount = sentCount / request.count
                #expect(lines.count == requestCount * 1_001)
                #expect(lines.count { $0 == "OK 1000" } == requestCount)
            }
        }

        @Test func refusesSearchesWhenTheQueueIsFull() async throws {
            try await withServer { server, _ in
                server.waitingQueriesMax = 1
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=64") == ["OK 0"])
                let vector = "[" + Array(repeating: "0.5", count: 64).joined(separator: ",") + "]"
                try await client.send((0..<2_000).map { "PUT c i\($0) \(vector)\n" }.joined())
                for _ in 0..<2_000 { #expect(try await client.readReply() == ["OK 0"]) }
                try await client.send(String(repeating: "TOPK c 1 \(vector)\n", count: 300) + "PING\n")
                var codes: [String: Int] = [:]
                for _ in 0..<300 {
                    let reply = try #require(try await client.readReply())
                    codes[String(reply[0].prefix(8)), default: 0] += 1
                    if reply[0] == "OK 1" { #expect(reply[1] == "i0 16") }
                }
                #expect(try await client.readReply() == ["OK 0"])
                #expect(codes.keys.sorted() == ["ERR BUSY", "OK 1"])
            }
        }

        @Test func refusesWritesWhenTheirQueueIsFull() async throws {
            try await withServer { _, store in
                store.limits.writeQueueBytesMax = 1_024
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1000") == ["OK 0"])
                let vector = "[" + Array(repeating: "0.5", count: 1_000).joined(separator: ",") + "]"
                // A write over the bound is taken if no other waits.
                #expect(try await client.ask("PUT c a \(vector)") == ["OK 0"])
                // Small writes arrive faster than they are made durable. A busy machine may need several bursts.
                #expect(try await client.ask("CREATE d dim=8") == ["OK 0"])
                var headers = Set<String>()
                for _ in 0..<50 where !headers.contains("ERR BUSY") {
                    try await client.send(String(repeating: "PUT d b [1,2,3,4,5,6,7,8]\n", count: 1_000))
                    for _ in 0..<1_000 {
                        headers.insert(String(try #require(try await client.readReply())[0].prefix(8)))
                    }
                }
                #expect(headers == ["OK 0", "ERR BUSY"])
            }
        }

        @Test func servesReadsOnlyFromAReadOnlyStore() async throws {
            let directory = try TemporaryDirectory()
            defer { withExtendedLifetime(directory) {} }
            try await withServer {
                $1.directory = directory.path
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                #expect(try await client.ask("PUT c a [1]") == ["OK 0"])
            }
            try await withServer { _, store in
                store.directory = directory.path
                store.isReadOnly = true
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("GET c a") == ["OK 1", "a [1]"])
                #expect(try await client.ask("PUT c a [2]")[0].hasPrefix("ERR READONLY "))
                #expect(try await client.ask("GET c a") == ["OK 1", "a [1]"])
            }
        }

        @Test func helloChoosesHowVectorsAreWritten() async throws {
            try await withServer { server in
                let client = try server.connect()
                try await client.send(
                    "CREATE c dim=1\nPUT c a [0.1]\nTOPK c 1 with=vector [1]\nHELLO 1 vectors=f32\nGET c a\n"
                )
                #expect(try await client.readReply() == ["OK 0"])
                #expect(try await client.readReply() == ["OK 0"])
                #expect(try await client.readReply() == ["OK 1", "a 0.10000000149011612 [0.1]"])
                #expect(try await client.readReply()?.contains("vectors f32") == true)
                #expect(try await client.readReply() == ["OK 1", "a f32:zczMPQ=="])
                #expect(try await client.ask("HELLO 1").contains("vectors text"))
                #expect(try await client.ask("GET c a") == ["OK 1", "a [0.1]"])
            }
        }

        @Test func infoCounts() async throws {
            try await withServer { server in
                let client = try server.connect()
                for _ in 0..<10 { #expect(try await client.ask("PING") == ["OK 0"]) }
                #expect(try await client.ask("PONG")[0].hasPrefix("ERR UNKNOWN "))
                let rows = try await client.ask("INFO server")
                #expect(rows.contains("connections 1"))
                #expect(rows.contains("requests 11"))
                #expect(rows.contains("errors 1"))
                #expect(rows.contains("searches 0") && rows.contains("search-passes 0"))
                #expect(rows.contains("kernel \(QueryVector.kernelName)"))
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                for _ in 0..<3 { #expect(try await client.ask("TOPK c 1 [1]") == ["OK 0"]) }
                let after = try await client.ask("INFO server")
                #expect(after.contains("searches 3") && after.contains("search-passes 3"))
                #expect(try await client.ask("INFO limits").contains("query-timeout-ms 60000"))
                #expect(ServerConfiguration().queryTimeoutMilliseconds == 1_000)
                #expect(
                    try await client.ask("INFO weather")[0].hasPrefix(
                        "ERR BADREQUEST got section 'weather', expected one of"
                    )
                )
                #expect(try await client.ask("INFO").count > 30)
            }
        }

        /// Every connection sees its own writes, whatever other connections do, on any number of event loops.
        @Test func connectionsReadTheirOwnWrites() async throws {
            try await withServer { server, _ in
                server.eventLoopCount = 4
                server.queryThreadCount = 2
            } _: { server in
                #expect(try await server.connect().ask("CREATE c dim=2") == ["OK 0"])
                try await withThrowingTaskGroup { group in
                    for writer in 0..<8 {
                        group.addTask {
                            let client = try server.connect()
                            for round in 0..<50 {
                                let vector = "[\(writer),\(round)]"
                                try await client.send(
                                    "PUT c w\(writer) \(vector)\nGET c w\(writer)\n"
                                        + "TOPK c 10 with=vector [1,1]\nDEL c w\(writer)\n"
                                )
                                #expect(try await client.readReply() == ["OK 0"])
                                #expect(try await client.readReply() == ["OK 1", "w\(writer) \(vector)"])
                                let top = try #require(try await client.readReply())
                                #expect(top.contains("w\(writer) \(writer + round) \(vector)"))
                                #expect(try await client.readReply() == ["OK 1", "w\(writer) 1"])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }
}
