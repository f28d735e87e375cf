import Foundation
import TestSupport
import Testing

@testable import LogQServer

extension ServerSuite {
    /// `OBSERVE return=`: answers from the store's thread, thousands of rows at a time.
    @Suite(.serialized)
    struct ObservationTests {
        private static func observation(_ step: Int, _ ids: [String], _ options: String = "") -> String {
            "OBSERVE c \(step) return=logq \(options)\(ids.joined(separator: " "))\n"
        }

        /// A trainer sends many observations at once. Another one sends them one by one, with a LOGQ after each. Both
        /// get the same rows.
        @Test func everyAnswerIsOfItsOwnMoment() async throws {
            var random = SeededGenerator()
            let batches = (0..<30).map { _ in
                (0..<Int.random(in: 1...3_000, using: &random)).map { _ in
                    "i\(Int.random(in: 0..<2_000, using: &random))"
                }
            }
            let units = ["", "unit=p ", "unit=expected batch=64 strength=-0.5 "]
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1 alpha=0.1") == ["OK 0"])
                try await client.send(
                    batches.enumerated().map { Self.observation($0 + 1, $1, units[$0 % 3]) }.joined()
                )
                let alone = try server.connect()
                #expect(try await alone.ask("CREATE d dim=1 alpha=0.1") == ["OK 0"])
                for (number, batch) in batches.enumerated() {
                    let ids = batch.joined(separator: " ")
                    #expect(try await alone.ask("OBSERVE d \(number + 1) \(ids)") == ["OK 0"])
                    let expected = try await alone.ask("LOGQ d \(units[number % 3])\(ids)")
                    #expect(try await client.readReply() == expected, "batch \(number)")
                }
            }
        }

        /// Shutting down the sending side, or QUIT, must not lose a row.
        @Test(arguments: [true, false])
        func rowsAreSentBeforeTheConnectionEnds(quits: Bool) async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                let ids = (0..<10_000).map { "i\($0)" }
                try await client.send(Self.observation(1, ids) + Self.observation(2, ids) + (quits ? "QUIT\n" : ""))
                if !quits { client.shutDownSending() }
                for _ in 0..<2 { #expect(try await client.readReply()?.count == 10_001) }
                if quits { #expect(try await client.readReply() == ["OK 0"]) }
                #expect(try await client.readReply() == nil)
            }
        }
    }
}
