import Testing
import WireProtocol

@testable import LogQServer

extension ServerSuite {
    /// `SAMPLE` over real sockets: its output, its refusals, and its order among other requests.
    @Suite(.serialized)
    struct SampleTests {
        @Test func rowsHaveTheColumnsInTheirOrder() async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=2") == ["OK 0"])
                #expect(try await client.ask("SAMPLE c 3") == ["OK 0"])
                #expect(try await client.ask("PUT c a%20b [1,0.5] {\"x\": 1}") == ["OK 0"])
                #expect(try await client.ask("OBSERVE c 1 a%20b other") == ["OK 0"])
                #expect(try await client.ask("SAMPLE c 2") == ["OK 2", "a%20b 1 2", "a%20b 1 2"])
                #expect(try await client.ask("sample c 2 UNIQUE=true") == ["OK 1", "a%20b 1 1"])
                #expect(
                    try await client.ask("SAMPLE c 1 with=features,logq,vector")
                        == ["OK 1", "a%20b 1 1 [1,0.5] -0.6931471805599453 {\"x\":1}"]
                )
                #expect(try await client.ask("SAMPLE c 1 with=logq") == ["OK 1", "a%20b 1 1 -0.6931471805599453"])
                #expect(try await client.ask("SAMPLE c 1 except=a%20b") == ["OK 0"])
                #expect(try await client.ask("HELLO 1 vectors=f32").first == "OK 9")
                #expect(try await client.ask("SAMPLE c 1 with=vector") == ["OK 1", "a%20b 1 1 f32:AACAPwAAAD8="])
            }
        }

        /// A draw sees earlier writes of its connection, and no later ones.
        @Test func drawsKeepTheirOrderAmongWrites() async throws {
            try await withServer { server, _ in
                server.queryThreadCount = 2
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                for round in 0..<100 {
                    try await client.send(
                        "SAMPLE c 1\nPUT c i\(round) [1]\nSAMPLE c 1\nSAMPLE c 1\nDEL c i\(round)\nSAMPLE c 1\n"
                    )
                    #expect(try await client.readReply() == ["OK 0"])
                    #expect(try await client.readReply() == ["OK 0"])
                    for _ in 0..<2 { #expect(try await client.readReply() == ["OK 1", "i\(round) 1 1"]) }
                    #expect(try await client.readReply() == ["OK 1", "i\(round) 1"])
                    #expect(try await client.readReply() == ["OK 0"])
                }
            }
        }

        @Test func aFullQueueIsBusy() async throws {
            try await withServer { server, _ in
                server.waitingQueriesMax = 1
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                try await client.send((0..<2_000).map { "PUT c i\($0) [1]\n" }.joined())
                for _ in 0..<2_000 { #expect(try await client.readReply() == ["OK 0"]) }
                try await client.send(String(repeating: "SAMPLE c 1000 unique=true\n", count: 300) + "PING\n")
                var headers: Set<String> = []
                for _ in 0..<300 { headers.insert(try #require(try await client.readReply())[0]) }
                #expect(
                    headers == ["OK 1000", "ERR BUSY got a query while 1 wait, expected fewer: try again later"]
                )
                #expect(try await client.readReply() == ["OK 0"])
                #expect(try await client.ask("INFO server").contains("samplings 0") == false)
            }
        }

        /// The timeout of a draw passes while it waits for searches. Each of them searches all ranks, which takes long
        /// enough. All arrive in one burst.
        @Test func aDrawThatIsNotBegunInTimeTimesOut() async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE many dim=1") == ["OK 0"])
                try await client.send((0..<5_000).map { "PUT many a\($0) [\($0)]\n" }.joined())
                for _ in 0..<5_000 { #expect(try await client.readReply() == ["OK 0"]) }
                let searches = String(repeating: "TOPK many 1 range_min=6000 [-1]\n", count: 5)
                try await client.send(searches + "SAMPLE many 1 timeout_ms=1\nSAMPLE many 1\n")
                for _ in 0..<5 { #expect(try await client.readReply() == ["OK 0"]) }
                #expect(
                    try await client.readReply() == [
                        "ERR TIMEOUT got no answer within 1 ms, nothing is returned: "
                            + "try again later, or with a longer timeout_ms="
                    ]
                )
                #expect(try await client.readReply()?.first == "OK 1")
            }
        }

        /// If even the shortest vectors make a reply too long, nothing is drawn. If a reply turns out too long, it is
        /// discarded.
        @Test func aReplyThatIsTooLongIsRefused() async throws {
            try await withServer { server, _ in
                server.limits.replyBytesMax = 20_000
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=100") == ["OK 0"])
                let zeros = "[" + Array(repeating: "0", count: 100).joined(separator: ",") + "]"
                #expect(
                    try await client.ask("PUT c a \(zeros) {\"k\":\"\(String(repeating: "x", count: 3_000))\"}") == [
                        "OK 0"
                    ]
                )
                let refusal = ["ERR LIMIT got a reply of more than 20000 bytes, expected at most that: ask for less"]
                #expect(try await client.ask("SAMPLE c 90 with=vector").first == "OK 90")
                #expect(try await client.ask("SAMPLE c 98 with=vector") == refusal)
                #expect(
                    try await client.ask("SAMPLE c 7 with=features") == [
                        "ERR LIMIT got 7 rows with more than 20000 bytes of features, expected at most 20000: "
                            + "about 6 of them fit"
                    ]
                )
                #expect(try await client.ask("INFO server").contains("samplings 3"))
                #expect(
                    try await client.ask("SAMPLE c 99 with=vector") == [
                        "ERR LIMIT got 99 rows with vectors, whose reply would have at least 20196 bytes, "
                            + "expected at most 20000: at most 98 fit"
                    ]
                )
                #expect(try await client.ask("INFO server").contains("samplings 3"))
                // With only one item, a unique draw has at most one row.
                #expect(try await client.ask("SAMPLE c 101 unique=true with=vector").first == "OK 1")
                #expect(try await client.ask("SAMPLE c 1000").first == "OK 1000")
            }
        }

        /// The client disconnects while its draws wait. They are dropped, and other clients are served.
        @Test func drawsOfADisconnectedClientAreDropped() async throws {
            try await withServer { server in
                let other = try server.connect()
                #expect(try await other.ask("CREATE c dim=1") == ["OK 0"])
                #expect(try await other.ask("PUT c a [1]") == ["OK 0"])
                for _ in 0..<20 {
                    let client = try server.connect()
                    try await client.send(String(repeating: "SAMPLE c 16384 unique=true\n", count: 50))
                }
                #expect(try await other.ask("SAMPLE c 1") == ["OK 1", "a 1 1"])
                var waiting = ""
                for _ in 0..<1_000 where waiting != "waiting-queries 0" {
                    waiting = try await other.ask("INFO server").first { $0.hasPrefix("waiting-queries ") } ?? ""
                    if waiting != "waiting-queries 0" { try await Task.sleep(for: .milliseconds(5)) }
                }
                #expect(waiting == "waiting-queries 0")
            }
        }

        @Test(arguments: [
            ("SAMPLE c", "BADREQUEST got 1 word after SAMPLE, expected SAMPLE c n [by="),
            ("SAMPLE c 0", "BADREQUEST got n '0', expected 1 to 16384"),
            ("SAMPLE c 16385", "LIMIT got n 16385, expected at most 16384"),
            ("SAMPLE c 1 by=luck", "BADREQUEST got by='luck', expected uniform or frequency or mixed or recent"),
            (
                "SAMPLE c 1 power=0.5",
                "BADREQUEST got power= with by=uniform, expected by=frequency or by=mixed with it"
            ),
            ("SAMPLE c 1 by=recent power=1", "BADREQUEST got power= with by=recent, expected by=frequency or by=mixed"),
            ("SAMPLE c 1 by=frequency power=1.1", "BADREQUEST got power='1.1', expected a number from 0 to 1"),
            ("SAMPLE c 1 by=frequency power=-0.1", "BADREQUEST got power='-0.1', expected a number from 0 to 1"),
            (
                "SAMPLE c 1 by=mixed",
                "BADREQUEST got by=mixed without mix=, expected both by=mixed and mix=, or neither"
            ),
            ("SAMPLE c 1 mix=1:1", "BADREQUEST got mix= with by=uniform, expected both by=mixed and mix=, or neither"),
            ("SAMPLE c 1 by=frequency mix=1:1", "BADREQUEST got mix= with by=frequency, expected both"),
            ("SAMPLE c 1 by=mixed mix=0:0", "BADREQUEST got mix='0:0', expected two numbers as B:B', neither below 0"),
            ("SAMPLE c 1 unique=yes", "BADREQUEST got unique='yes', expected true or false"),
            ("SAMPLE c 1 seed=-1", "BADREQUEST got seed='-1', expected 0 to 18446744073709551615"),
            (
                "SAMPLE c 1 seed=18446744073709551616",
                "BADREQUEST got seed=18446744073709551616, expected 0 to 18446744073709551615"
            ),
            ("SAMPLE c 1 with=rank", "BADREQUEST got with='rank', expected some of vector,logq,features"),
            ("SAMPLE c 1 timeout_ms=0", "BADREQUEST got timeout_ms=0, expected 1 to 60000"),
            ("SAMPLE c 1 except=a,,b", "BADID "), ("SAMPLE c 1 a", "BADREQUEST got 'a' too many, expected SAMPLE c n"),
            ("SAMPLE c 1", "NOCOLLECTION there is no collection 'c'"),
        ])
        func statesTheGotAndTheExpectedValue(request: String, error: String) async throws {
            try await withServer { server in
                let client = try server.connect()
                let reply = try await client.ask(request)
                #expect(reply.count == 1 && reply[0].hasPrefix("ERR " + error), "\(reply)")
            }
        }
    }
}
