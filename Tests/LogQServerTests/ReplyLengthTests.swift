import NIOCore
import PackedStrings
import TestSupport
import Testing
import WireProtocol

@testable import LogQServer

extension ServerSuite {
    /// Replies that are too long are refused before the work, and the error says how many rows would fit.
    @Suite(.serialized)
    struct ReplyLengthTests {
        /// A server with short replies, and a collection of 600 items of 20 dimensions.
        private func withItems(_ body: @Sendable (TestClient) async throws -> Void) async throws {
            try await withServer { server, _ in
                server.limits.replyBytesMax = 30_000
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=20") == ["OK 0"])
                var random = SeededGenerator(seed: 26)
                let puts = (0..<600).map { number in
                    let numbers = (0..<20).map { _ in "\(Float.random(in: 0.1..<1, using: &random))" }
                    return "PUT c i\(number) [\(numbers.joined(separator: ","))] {\"k\":\"xxxxxxxxxx\"}\n"
                }
                try await client.send(puts.joined())
                for _ in puts { #expect(try await client.readReply() == ["OK 0"]) }
                try await body(client)
            }
        }

        private static let query = "[1" + String(repeating: ",0", count: 19) + "]"

        /// Even vectors of single digits would not fit: a row has at least 44 bytes.
        @Test func aSearchIsRefusedBeforeIt() async throws {
            try await withItems { (client: TestClient) async throws in
                let refusal = [
                    "ERR LIMIT got 700 rows with vectors, whose reply would have at least 30800 bytes, "
                        + "expected at most 30000: at most 681 fit"
                ]
                // 600 items are fewer than would have to be in the answer.
                for number in 600..<700 {
                    #expect(try await client.ask("PUT c i\(number) \(Self.query)") == ["OK 0"])
                }
                #expect(try await client.ask("TOPK c 5000 with=vector \(Self.query)") == refusal)
                #expect(try await client.ask("TOPK c 700 range_min=1 with=rank,vector \(Self.query)") == refusal)
                #expect(try await client.ask("SAMPLE c 700 with=vector") == refusal)
                #expect(try await client.ask("INFO server").contains("searches 0"))
                #expect(try await client.ask("INFO server").contains("samplings 0"))
                // Fewer rows, or nobody knows how many: then the search decides.
                for option in ["range_max=3", "sample=3", "radius=1000", "range_min=699"] {
                    #expect(
                        try await client.ask("TOPK c 5000 \(option) with=vector \(Self.query)").first?
                            .hasPrefix("OK ") == true
                    )
                }
                #expect(try await client.ask("TOPK c 700 \(Self.query)").first == "OK 700")
                // In base64 a row has at least 115 bytes.
                #expect(try await client.ask("HELLO 1 vectors=f32").first?.hasPrefix("OK ") == true)
                #expect(try await client.ask("TOPK c 261 with=vector \(Self.query)").first?.hasPrefix("ERR ") == true)
                #expect(
                    try await client.ask("SAMPLE c 261 with=vector").first
                        == "ERR LIMIT got 261 rows with vectors, whose reply would have at least 30015 bytes, "
                        + "expected at most 30000: at most 260 fit"
                )
            }
        }

        /// A row has about 220 bytes. Its shortest form would fit, so this is known only when the items are found.
        @Test func aLongReplyIsNotWritten() async throws {
            try await withItems { (client: TestClient) async throws in
                for request in ["TOPK c 600 with=vector \(Self.query)", "SAMPLE c 600 with=vector"] {
                    let answer = try #require(try await client.ask(request).first)
                    let match = try #require(
                        answer.wholeMatch(of: /ERR LIMIT got 600 rows, whose reply would have about (\d+) bytes, .*/),
                        "\(answer)"
                    )
                    #expect((100_000..<160_000).contains(Int(match.1)!))
                    #expect(answer.contains(/expected at most 30000: about 1[1-7]\d of them fit$/), "\(answer)")
                }
                #expect(try await client.ask("TOPK c 100 with=vector,features \(Self.query)").first == "OK 100")
            }
        }
    }
}

struct RowBlockTests {
    /// One row as a block is written like that row among the others.
    @Test func rowsAreWrittenAloneAsTogether() {
        let blocks = [
            RowBlock(
                count: 3,
                [
                    Column(.ids(PackedStrings([[98, 99], [100], [101]]))),
                    Column(.numbers([1.5, .nan, 3]), label: "n"),
                    Column(.integers([1, -1, 3])),
                    Column(.vectors([1, 2, 3, 4], dimension: 2, isPresent: [true, false, true])),
                    Column(
                        .json(
                            PackedStrings([Array("{}".utf8), [], Array("[1]".utf8)]),
                            isPresent: [true, false, true]
                        )
                    ),
                ]
            ),
            RowBlock(count: 2, [Column(.vectors([1, 2, 3, 4], dimension: 2)), Column(.texts(["a b", "c"]))]),
        ]
        let encoding = LineReplyWriter().encoding
        for block in blocks {
            var (together, alone) = (ByteBuffer(), ByteBuffer())
            #expect(encoding.writeRows(block, into: &together))
            for index in 0..<block.count { #expect(encoding.writeRows(block.row(index), into: &alone)) }
            #expect(String(buffer: alone) == String(buffer: together))
        }
    }
}
