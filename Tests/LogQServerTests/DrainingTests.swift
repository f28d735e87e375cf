import Foundation
import ItemStore
import TestSupport
import Testing

@testable import LogQServer

extension ServerSuite {
    /// Stopping: requests that have arrived are answered, and later ones get `ERR DRAINING`.
    @Suite(.serialized)
    struct DrainingTests {
        @Test func answersEveryRequestThatWasSent() async throws {
            try await withServer { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=2") == ["OK 0"])
                let count = 300
                try await client.send((0..<count).map { "PUT c i\($0) [\($0),1]\nGET c i\($0)\n" }.joined())
                try await server.server.stop()
                for index in 0..<count {
                    #expect(try await client.readReply() == ["OK 0"])
                    #expect(try await client.readReply() == ["OK 1", "i\(index) [\(index),1]"])
                }
                #expect(try await client.readReply() == nil)
            }
        }

        /// Bytes that the system has received count as arrived, even if the server is not reading. Here a write waits
        /// for searches, and all later requests wait in the socket.
        @Test func answersRequestsThatItHasNotReadYet() async throws {
            try await withServer { server in
                let client = try server.connect()
                let other = try server.connect()
                #expect(try await client.ask("CREATE c dim=64") == ["OK 0"])
                let vector = "[" + Array(repeating: "0.5", count: 64).joined(separator: ",") + "]"
                try await client.send((0..<2_000).map { "PUT c i\($0) \(vector)\n" }.joined())
                for _ in 0..<2_000 { #expect(try await client.readReply() == ["OK 0"]) }
                let searchCount = 250
                try await client.send(
                    String(repeating: "TOPK c 1 \(vector)\n", count: searchCount) + "PUT c a \(vector)\n"
                )
                var isUnderWay = false
                for _ in 0..<2_000 where !isUnderWay {
                    let info = try await other.ask("INFO server")
                    isUnderWay = info.contains { $0.hasPrefix("waiting-queries 1") && $0.utf8.count > 18 }
                }
                try await client.send(String(repeating: "PING\n", count: 2_000))
                try await server.server.stop()
                for _ in 0..<searchCount { #expect(try await client.readReply() == ["OK 1", "i0 16"]) }
                for _ in 0..<2_001 { #expect(try await client.readReply() == ["OK 0"]) }
                #expect(try await client.readReply() == nil)
            }
        }

        @Test func refusesALineThatIsCompletedLater() async throws {
            try await withServer { server in
                let client = try server.connect()
                let idle = try server.connect()
                #expect(try await idle.ask("PING") == ["OK 0"])
                try await client.send("PING\nPI")
                #expect(try await client.readReply() == ["OK 0"])
                async let stopped: Void = server.server.stop()
                // The idle connection ends a while after both were told to drain.
                #expect(try await idle.readReply() == nil)
                try await client.send("NG\nPING\n")
                #expect(try await client.readReply()?[0].hasPrefix("ERR DRAINING ") == true)
                #expect(try await client.readReply() == nil)
                try await stopped
            }
        }

        @Test func idleConnectionsDoNotDelayIt() async throws {
            try await withServer { server in
                let clients = try (0..<20).map { _ in try server.connect() }
                for client in clients { #expect(try await client.ask("PING") == ["OK 0"]) }
                let duration = try await ContinuousClock().measure { try await server.server.stop() }
                #expect(duration < .seconds(3))
                for client in clients { #expect(try await client.readReply() == nil) }
            }
        }

        @Test func aClientThatDoesNotReadDelaysItForALimitedTime() async throws {
            try await withServer { server, _ in
                server.drainMillisecondsMax = 500
            } _: { server in
                let client = try server.connect()
                #expect(try await client.ask("CREATE c dim=1") == ["OK 0"])
                let ids = (0..<1_000).map { "some-quite-long-id-\($0)" }.joined(separator: " ")
                let request = Array("GET c \(ids)\n".utf8)
                var idleCount = 0
                while idleCount < 10 {
                    let count = client.sendWithoutWaiting(request)
                    idleCount = count == 0 ? idleCount + 1 : 0
                    if count == 0 { try await Task.sleep(for: .milliseconds(10)) }
                }
                let duration = try await ContinuousClock().measure { try await server.server.stop() }
                #expect(duration < .seconds(5))
            }
        }

        @Test func theUnixSocketIsServedAndRemoved() async throws {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/socket"
            try await withServer { server, _ in
                server.unix = UnixSocket(path: path)
            } _: { server in
                #expect(FileManager.default.fileExists(atPath: path))
                // A second server must not take over the path of the first.
                await #expect(throws: SocketInUse.self) {
                    try await withServer { server, _ in
                        server.unix = UnixSocket(path: path)
                    } _: { _ in
                    }
                }
                #expect(FileManager.default.fileExists(atPath: path))
            }
            #expect(!FileManager.default.fileExists(atPath: path))
            withExtendedLifetime(directory) {}
        }
    }
}
