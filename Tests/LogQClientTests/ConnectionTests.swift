import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import LogQClient

/// Tests the client against a scripted server on a real socket.
@Suite struct ConnectionTests {
    private func connect(
        _ server: ScriptedServer,
        _ configure: (inout LogQClient.Configuration) -> Void = { _ in }
    ) async throws -> LogQClient {
        var configuration = LogQClient.Configuration()
        configure(&configuration)
        return try await LogQClient.connect(host: "127.0.0.1", port: server.port, configuration: configuration)
    }

    @Test func greetsAndAsks() async throws {
        let server = try await ScriptedServer()
        let client = try await connect(server)
        try await client.ping()
        try await client.put("items", "a", [1])
        #expect(server.lines == ["HELLO 1 vectors=f32", "PING", "PUT items a f32:AACAPw=="])
        await client.close()
        await server.stop()
    }

    @Test func speaksOverAUnixSocket() async throws {
        let path = "/tmp/logq-client-test-\(UInt32.random(in: 0...(.max))).sock"
        let server = try await ScriptedServer(unixSocketPath: path)
        let client = try await LogQClient.connect(unixSocketPath: path)
        try await client.ping()
        try await client.quit()
        #expect(server.requests == ["PING", "QUIT"])
        await server.stop()
        unlink(path)
    }

    @Test func requestsOfDifferentKindsShareARoundTrip() async throws {
        let server = try await ScriptedServer(dripping: true) { line in
            line.hasPrefix("LOGQ") ? .text("OK 2\na -1 seen\nb -2 once\n") : ScriptedServer.polite(line)
        }
        let client = try await connect(server)
        let (_, logQ) = try await client.pipeline(
            .observe("items", step: 7, ids: ["a", "b"]),
            .logQ("items", ids: ["a", "b"], unit: .p)
        )
        #expect(logQ.map(\.value) == [-1, -2])
        #expect(server.requests == ["OBSERVE items 7 a b", "LOGQ items unit=p a b"])
        await client.close()
        await server.stop()
    }

    @Test func thousandsOfRequestsComeBackInOrder() async throws {
        let server = try await ScriptedServer { line in
            guard line.hasPrefix("SCORE") else { return ScriptedServer.polite(line) }
            let id = line.split(separator: " ").last!
            return id.hasSuffix("7") ? .text("ERR NOCOLLECTION \(id)\n") : .text("OK 1\n\(id) \(id)\n")
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 1_000 }
        let count = 20_000
        let vector = [Float](repeating: 0.5, count: 16)
        let results = await client.pipeline((0..<count).map { .score("items", vector, [ItemID("\($0)")]) })
        #expect(results.count == count)
        for (index, result) in results.enumerated() {
            if index % 10 == 7 {
                #expect(throws: LogQError(.noCollection, "\(index)", request: "SCORE items")) { try result.get() }
            } else {
                #expect(try result.get() == [Double(index)])
            }
        }
        await client.close()
        await server.stop()
    }

    @Test func manyTasksShareTheConnection() async throws {
        let server = try await ScriptedServer { line in
            guard line.hasPrefix("SCORE") else { return ScriptedServer.polite(line) }
            let id = line.split(separator: " ").last!
            return .text("OK 1\n\(id) \(id)\n")
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 3 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<20 {
                group.addTask {
                    for round in 0..<50 {
                        let number = task * 1_000 + round
                        let scores = try await client.score("items", [1], [ItemID("\(number)")])
                        #expect(scores == [Double(number)])
                    }
                }
            }
            try await group.waitForAll()
        }
        await client.close()
        await server.stop()
    }

    @Test func requestsUnderWayAreBounded() async throws {
        let open = NIOLockedValueBox(false)
        let server = try await ScriptedServer { line in
            line.hasPrefix("HELLO") || open.withLockedValue { $0 } ? ScriptedServer.polite(line) : .silence
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 5 }
        let tasks = (0..<12).map { _ in Task { try await client.ping() } }
        #expect(await eventually { server.requests.count == 5 })
        // The sixth request waits for a reply. Give it many turns, because no event shows that it does not arrive.
        for _ in 0..<2_000 { await Task.yield() }
        #expect(server.requests.count == 5)
        open.withLockedValue { $0 = true }
        try await server.say(String(repeating: "OK 0\n", count: 5))
        for task in tasks { try await task.value }
        #expect(server.requests.count == 12)
        await client.close()
        await server.stop()
    }

    @Test func aLineThatCanNotBeWrittenFailsAlone() async throws {
        let server = try await ScriptedServer()
        let client = try await connect(server)
        let results = await client.pipeline([.drop("a"), .drop("b c"), .drop("d"), .drop("")])
        #expect(server.requests == ["DROP a", "DROP d"])
        #expect(results.map { (try? $0.get()) != nil } == [true, false, true, false])
        await client.close()
        await server.stop()
    }

    @Test func startedRequestsAreSentInOrderAndAnsweredLater() async throws {
        let open = NIOLockedValueBox(false)
        let server = try await ScriptedServer { line in
            line.hasPrefix("HELLO") || open.withLockedValue { $0 } ? ScriptedServer.polite(line) : .silence
        }
        let client = try await connect(server)
        let first = await client.start([.drop("a"), .drop("b c"), .drop("d")])
        let second = await client.start([.drop("e")])
        #expect(await eventually { server.requests == ["DROP a", "DROP d", "DROP e"] })
        open.withLockedValue { $0 = true }
        try await server.say("OK 0\nERR NOCOLLECTION d\nOK 0\n")
        try await client.ping()
        #expect(try await second.results().map { try $0.get() }.count == 1)
        for _ in 0..<2 {
            let results = await first.results()
            #expect(results.map { (try? $0.get()) != nil } == [true, false, false])
        }
        await client.close()
        await server.stop()
    }

    @Test func startWaitsUntilThereIsRoom() async throws {
        let open = NIOLockedValueBox(false)
        let server = try await ScriptedServer { line in
            line.hasPrefix("HELLO") || open.withLockedValue { $0 } ? ScriptedServer.polite(line) : .silence
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 2 }
        _ = await client.start([.drop("a"), .drop("b")])
        let hasStarted = NIOLockedValueBox(false)
        let task = Task {
            let replies = await client.start([.drop("c")])
            hasStarted.withLockedValue { $0 = true }
            return await replies.results().compactMap { try? $0.get() }.count
        }
        let cancelled = Task {
            await client.start([.drop("never")]).results().map { result in
                #expect(throws: LogQError.self) { try result.get() }?.code
            }
        }
        cancelled.cancel()
        #expect(await cancelled.value == [.cancelled])
        for _ in 0..<2_000 { await Task.yield() }
        #expect(!hasStarted.withLockedValue { $0 })
        // Both must have arrived before the script answers, because otherwise they would be answered twice.
        #expect(await eventually { server.requests.count == 2 })
        open.withLockedValue { $0 = true }
        try await server.say("OK 0\nOK 0\n")
        #expect(await task.value == 1)
        #expect(server.requests == ["DROP a", "DROP b", "DROP c"])
        await client.close()
        await server.stop()
    }

    @Test func aCancelledTaskSendsNothing() async throws {
        let server = try await ScriptedServer()
        let client = try await connect(server)
        let task = Task {
            _ = await eventually { Task.isCancelled }
            return await failure { try await client.drop("a") }
        }
        task.cancel()
        let error = await task.value
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveBeenApplied == false)
        try await client.ping()
        #expect(server.requests == ["PING"])
        await client.close()
        await server.stop()
    }

    @Test func anEmptyPipelineIsAnEmptyAnswer() async throws {
        let server = try await ScriptedServer()
        let client = try await connect(server)
        #expect(await client.pipeline([LogQRequest<Void>]()).isEmpty)
        await client.close()
        await server.stop()
    }

    @Test func aLostConnectionFailsEveryRequestByName() async throws {
        let server = try await ScriptedServer { line in
            switch line {
            case "PING", "DROP a", "DROP b": .silence
            case "DROP c": .last("")
            default: ScriptedServer.polite(line)
            }
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 4 }
        async let waiting = failure { try await client.ping() }
        #expect(await eventually { server.requests == ["PING"] })
        let results = await client.pipeline([.drop("a"), .drop("b"), .drop("c")])
        let errors = results.map { result in
            #expect(throws: LogQError.self) { try result.get() }
        }
        #expect(errors.map { $0?.request } == ["DROP a", "DROP b", "DROP c"])
        #expect(errors.allSatisfy { $0?.code == .connectionLost && $0?.mayHaveBeenApplied == true })
        let ping = await waiting
        #expect(ping?.request == "PING")
        #expect(ping?.mayHaveBeenApplied == false, "a request that only reads has nothing to apply")

        let late = await failure { try await client.drop("d") }
        #expect(late?.code == .connectionLost)
        #expect(late?.mayHaveBeenApplied == false)
        #expect(late?.message.hasSuffix("the request was not sent") == true)
        await client.close()
        await server.stop()
    }

    @Test func repliesThatCameBeforeTheLossCount() async throws {
        let server = try await ScriptedServer { line in
            line == "DROP b" ? .last("ERR NOCOLLECTION b\n") : ScriptedServer.polite(line)
        }
        let client = try await connect(server)
        let results = await client.pipeline([.drop("a"), .drop("b"), .drop("c")])
        #expect(throws: Never.self) { try results[0].get() }
        #expect(throws: LogQError(.noCollection, "b", request: "DROP b")) { try results[1].get() }
        let last = #expect(throws: LogQError.self) { try results[2].get() }
        #expect(last?.code == .connectionLost)
        await server.stop()
    }

    @Test func theClientLeavesAServerThatSendsNonsense() async throws {
        let server = try await ScriptedServer { line in
            line == "PING" ? .text("PONG\n") : ScriptedServer.polite(line)
        }
        let client = try await connect(server)
        let error = await failure { try await client.ping() }
        #expect(error?.code == .badReply)
        #expect(await eventually { server.isDeserted })
        await server.stop()
    }

    @Test func aCancelledTaskStopsWaitingAndTheConnectionGoesOn() async throws {
        let server = try await ScriptedServer { line in
            line.hasPrefix("DROP") ? .silence : ScriptedServer.polite(line)
        }
        let client = try await connect(server) { $0.requestsUnderWayMax = 1 }
        let sent = Task { await failure { try await client.drop("sent") } }
        #expect(await eventually { server.requests == ["DROP sent"] })
        let queued = Task { await failure { try await client.drop("queued") } }
        queued.cancel()
        sent.cancel()
        let sentError = await sent.value
        #expect(sentError?.code == .cancelled)
        #expect(sentError?.mayHaveBeenApplied == true)
        let queuedError = await queued.value
        #expect(queuedError?.code == .cancelled)
        #expect(queuedError?.mayHaveBeenApplied == false)
        try await server.say("OK 0\n")
        try await client.ping()
        #expect(server.requests == ["DROP sent", "PING"])
        await client.close()
        await server.stop()
    }

    @Test func closeWaitsForRepliesAndRefusesLaterRequests() async throws {
        let server = try await ScriptedServer { line in
            line == "PING" ? .silence : ScriptedServer.polite(line)
        }
        let client = try await connect(server)
        let ping = Task { try await client.ping() }
        #expect(await eventually { server.requests == ["PING"] })
        let close = Task { await client.close() }
        #expect(
            await eventually { client.outbox.isSealed },
            "close refuses new requests at once"
        )
        let late = await failure { try await client.ping() }
        #expect(late?.code == .closed)
        #expect(!server.isDeserted)
        try await server.say("OK 0\n")
        try await ping.value
        await close.value
        await client.close()
        #expect(await eventually { server.isDeserted })
        await server.stop()
    }

    @Test func closeDoesNotWaitForeverIfItsTaskIsCancelled() async throws {
        let server = try await ScriptedServer { line in
            line.hasPrefix("DROP") ? .silence : ScriptedServer.polite(line)
        }
        let client = try await connect(server)
        let drop = Task { await failure { try await client.drop("a") } }
        #expect(await eventually { server.requests == ["DROP a"] })
        let close = Task { await client.close() }
        #expect(await eventually { client.outbox.isSealed })
        close.cancel()
        await close.value
        let error = await drop.value
        #expect(error?.code == .connectionLost)
        #expect(error?.mayHaveBeenApplied == true)
        await server.stop()
    }

    @Test func aReleasedClientClosesItsConnection() async throws {
        let server = try await ScriptedServer()
        do {
            let client = try await connect(server)
            try await client.ping()
        }
        #expect(await eventually { server.isDeserted })
        await server.stop()
    }

    @Test func nobodyListens() async throws {
        let reserved = try ReservedPort()
        let port = reserved.number
        let error = await failure { _ = try await LogQClient.connect(host: "127.0.0.1", port: port) }
        withExtendedLifetime(reserved) {}
        #expect(error?.code == .connectFailed)
        #expect(error.map { "\($0)" } == "could not connect to 127.0.0.1:\(port): connection refused")
        let noSocket = await failure { _ = try await LogQClient.connect(unixSocketPath: "/tmp/no/such.sock") }
        #expect(noSocket?.message == "could not connect to /tmp/no/such.sock: no such file or directory")
        let noPort = await failure { _ = try await LogQClient.connect(port: 70_000) }
        #expect(noPort?.code == .connectFailed)
    }

    @Test func theClientLeavesAServerThatDoesNotGreetInTime() async throws {
        let server = try await ScriptedServer { _ in .silence }
        let error = await failure { _ = try await connect(server) { $0.connectTimeout = .milliseconds(50) } }
        #expect(error?.code == .connectFailed)
        // On a machine under load, the time may run out before the connection is made, with another message.
        #expect(error?.message.hasSuffix(" in time") == true)
        #expect(await eventually { server.isDeserted })
        await server.stop()
    }

    @Test func theErrorOfARefusedConnectionHasTheReason() async throws {
        let server = try await ScriptedServer { _ in .last("ERR LIMIT got 4097 connections\n") }
        let error = await failure { _ = try await connect(server) }
        #expect(error == LogQError(.limit, "got 4097 connections", request: "HELLO"))
        await server.stop()
    }

    private func failure(_ body: () async throws -> Void) async -> LogQError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? LogQError
        }
    }
}
