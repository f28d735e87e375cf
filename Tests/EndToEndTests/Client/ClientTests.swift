import LogQClient
import TestSupport
import Testing

/// The Swift client against the real daemon: every verb, its replies, refusals, and the errors after a lost connection.
@Suite struct ClientTests {
    private func withClient(_ body: (LogQClient) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let client = try await LogQClient.connect(unixSocketPath: daemon.socketPath)
        try await body(client)
        await client.close()
        try daemon.stop()
    }

    @Test func serverVerbs() async throws {
        try await withClient { client in
            try await client.ping()
            let hello = try await client.hello()
            #expect(hello["server"] == "logqd")
            #expect(hello["vectors"] == "f32")
            #expect(try await client.info("memory").isEmpty == false)
            #expect(try await client.help().contains { $0.hasPrefix("TOPK ") })
            #expect(try await client.help("topk").count > 1)
            try await client.create("items", dimension: 3, metric: .l2, alpha: 0.25)
            let collections = try await client.collections()
            #expect(collections.map(\.name) == ["items"])
            #expect(collections[0].dimension == 3 && collections[0].metric == .l2 && collections[0].alpha == 0.25)
            try await client.create("next", dimension: 2)
            try await client.swap("items", "next")
            #expect(try await client.collections().map(\.dimension) == [2, 3])
            try await client.drop("next")
            try await client.drop("items")
            #expect(try await client.collections().isEmpty)
        }
    }

    @Test func itemVerbs() async throws {
        try await withClient { client in
            let odd = ItemID(Array(UInt8.min...UInt8.max).dropLast())
            try await client.create("items", dimension: 2)
            try await client.put("items", "a", [1, 0.5], features: "{\n \"x\": 1,\n \"y\": [2]\n}")
            try await client.put("items", odd, [.leastNonzeroMagnitude, -.greatestFiniteMagnitude])
            let embeddings = try await client.get("items", ["a", "nope", odd])
            #expect(embeddings.dimension == 2)
            #expect(embeddings.isPresent == [true, false, true])
            #expect(embeddings.values == [1, 0.5, 0, 0, .leastNonzeroMagnitude, -.greatestFiniteMagnitude])
            #expect(try await client.get("items", "nope") == nil)
            try await client.put("items", odd, [0, 1])
            #expect(try await client.features("items", ["a", odd]) == [#"{"x":1,"y":[2]}"#, nil])
            #expect(try await client.features("items", ["a"], fields: ["y", "z"]) == [#"{"y":[2]}"#])
            try await client.setFeatures("items", odd, "{}")
            let first = try await client.scan("items", limit: 1)
            let second = try await client.scan("items", after: first[0].row, limit: 5)
            #expect((first + second).map(\.id) == ["a", odd])
            let hits = try await client.topK(
                "items",
                5,
                nearest: .vector([2, 1]),
                with: [.vector, .logQ, .features]
            )
            #expect(hits.map(\.id) == ["a", odd])
            #expect(hits.map(\.score) == [2.5, 1])
            #expect(hits.map(\.vector) == [[1, 0.5], [0, 1]])
            #expect(hits.map(\.features) == [#"{"x":1,"y":[2]}"#, "{}"])
            #expect(hits.allSatisfy { $0.logQ?.isFinite == true })
            #expect(try await client.topK("items", 5, nearest: .vector([2, 1]), except: ["a"]).map(\.id) == [odd])
            #expect(try await client.topK("items", 5, nearest: .like("a")).map(\.id) == [odd])
            let negatives = try await client.topK(
                "items",
                5,
                nearest: .vector([2, 1]),
                except: ["a"],
                margin: 1.5,
                sample: .random(3, seed: 1),
                with: .rank
            )
            #expect(negatives.map(\.id) == [odd] && negatives.map(\.rank) == [1])
            let window = try await client.topK("items", 5, nearest: .vector([2, 1]), ranks: 2...9)
            #expect(window.map(\.id) == [odd])
            let good = try await client.topK("items", 5, nearest: .vector([2, 1]), radius: 2.5, timeout: .seconds(60))
            #expect(good.map(\.id) == ["a"])
            #expect(try await client.topK("items", 5, nearest: .vector([2, 1]), ranks: 3...Int.max).isEmpty)
            #expect(try await client.score("items", [2, 1], ["nope", "a"]) == [nil, 2.5])
            #expect(try await client.delete("items", ["a", "nope"]) == [true, false])
            #expect(try await client.collections()[0].itemCount == 1)
        }
    }

    @Test func frequencyVerbs() async throws {
        try await withClient { client in
            // The worked example of PROTOCOL.md.
            try await client.create("worked", dimension: 2, alpha: 0.01)
            try await client.observe("worked", step: 1, ids: ["apple", "pear", "plum"])
            let again = ProducerSequence(producer: "w", number: 1)
            for _ in 0..<2 { try await client.observe("worked", step: nil, ids: ["apple"], sequence: again) }
            let (answered, logQ) = try await client.pipeline(
                .observe("worked", step: 4, ids: ["apple", "apple", "fig", "fig"], returning: .p),
                .logQ("worked", ids: ["apple", "kiwi"], unit: .p)
            )
            #expect(answered.map(\.state) == [.seen, .seen, .once, .once])
            #expect(answered[0] == logQ[0] && answered[1] == logQ[0])
            #expect(abs(logQ[0].value - -0.405465) < 1e-6 && logQ[0].state == .seen)
            #expect(abs(logQ[1].value - -2.079442) < 1e-6 && logQ[1].state == .unseen)
            let frequencies = try await client.frequencies("worked", ids: ["apple", "pear", "kiwi"], batch: 4)
            #expect(frequencies.map(\.q) == [0.5, 0.125, 0.0625])
            #expect(frequencies.map(\.expected) == [2, 0.5, 0.25])
            #expect(frequencies.map(\.gap) == [1.5, nil, nil])
            #expect(frequencies.map(\.lastStep) == [4, 1, nil])
            #expect(frequencies.map(\.state) == [.seen, .once, .unseen])
            try await client.setFrequencies(
                "worked",
                step: 9,
                [FrequencyUpdate("pear", gap: 4, count: 9), FrequencyUpdate("apple", count: 3)]
            )
            let after = try await client.frequencies("worked", ids: ["pear", "apple"])
            #expect(after.map(\.count) == [9, 3])
            #expect(after.map(\.gap) == [4, 1.5])
            let first = try await client.popular("worked", 2)
            #expect(
                first == [PopularID("pear", count: 9, step: 9), PopularID("apple", count: 3, step: 9)]
            )
            let second = try await client.popular("worked", 5, after: first[1], timeout: .seconds(60))
            #expect(second == [PopularID("fig", count: 2, step: 9), PopularID("plum", count: 1, step: 9)])
            #expect(try await client.info("collections")["clock:worked"]?.hasPrefix("last-step=9 pace=") == true)
        }
    }

    @Test func negatives() async throws {
        try await withClient { client in
            try await client.create("items", dimension: 2)
            #expect(try await client.sample("items", 9).isEmpty)
            for (index, id) in (["a", "b", "c d"] as [ItemID]).enumerated() {
                try await client.put("items", id, [Float(index), 1], features: index == 0 ? "{\"x\": 1}" : nil)
            }
            let updates = [FrequencyUpdate("a", count: 16), FrequencyUpdate("b", count: 1)]
            try await client.setFrequencies("items", step: 1, updates)
            let all = try await client.sample(
                "items",
                3,
                by: .mixed(inBatch: 1, uniform: 1, power: 0.5),
                unique: true,
                seed: .max,
                with: [.vector, .logQ, .features],
                timeout: .seconds(60)
            )
            let found = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
            for (id, q) in [("a", (0.8 + 1.0 / 3) / 2), ("b", (0.2 + 1.0 / 3) / 2), ("c d", 1.0 / 6)]
                as [(ItemID, Double)]
            {
                #expect(abs(try #require(found[id]).q - q) < 1e-8)
            }
            #expect(found["a"]?.vector == [0, 1] && found["a"]?.features == #"{"x":1}"#)
            #expect(abs(found["a"]!.logQ! - -0.06062462181643484) < 1e-12)
            #expect(found["c d"]?.vector == [2, 1] && found["c d"]?.features == nil)
            #expect(all.allSatisfy { $0.expected > 0 && $0.expected <= 1 })
            let plain = try await client.sample("items", 1_000, by: .frequency(power: 1), except: ["a"], seed: 1)
            #expect(plain.allSatisfy { $0.id == "b" && $0.q == 1 && $0.expected == 1_000 && $0.vector == nil })
            #expect(plain.count == 1_000)
            #expect(try await client.sample("items", 9, seed: 5) == client.sample("items", 9, seed: 5))
            let refusal = await #expect(throws: LogQError.self) { _ = try await client.sample("items", 0) }
            #expect(refusal?.code == .badRequest)
            let tooMany = await #expect(throws: LogQError.self) { _ = try await client.sample("items", 20_000) }
            #expect(tooMany?.code == .limit)
            let power = await #expect(throws: LogQError.self) {
                _ = try await client.sample("items", 1, by: .frequency(power: 2))
            }
            #expect(power?.code == .badRequest)
        }
    }

    @Test func refusalsAreTyped() async throws {
        func code(_ body: () async throws -> Void) async -> LogQError.Code? {
            do {
                try await body()
                return nil
            } catch {
                return (error as? LogQError)?.code
            }
        }
        try await withClient { client in
            try await client.create("items", dimension: 2, metric: .cosine)
            #expect(await code { try await client.create("items", dimension: 2) } == .exists)
            #expect(await code { try await client.create("wide", dimension: 5_000) } == .limit)
            #expect(await code { try await client.put("nope", "a", [1]) } == .noCollection)
            #expect(await code { try await client.put("items", "a", [1]) } == .dimension)
            #expect(await code { try await client.put("items", "a", [.nan, 1]) } == .badVector)
            #expect(await code { try await client.put("items", "a", [0, 0]) } == .badVector)
            #expect(await code { try await client.put("items", "", [1, 1]) } == .badID)
            #expect(await code { try await client.put("items", "a", [1, 1], features: "[]") } == .badRequest)
            #expect(await code { _ = try await client.get("items", [ItemID]()) } == .badRequest)
            #expect(await code { _ = try await client.topK("items", 5, nearest: .like("a")) } == .noItem)
            #expect(await code { _ = try await client.topK("items", 0, nearest: .vector([1, 1])) } == .badRequest)
            func topK(_ ranks: ClosedRange<Int>, timeout: Duration? = nil) async throws {
                _ = try await client.topK("items", 2, nearest: .vector([1, 1]), ranks: ranks, timeout: timeout)
            }
            #expect(await code { try await topK(0...1) } == .badRequest)
            #expect(await code { try await topK(10_000...10_001) } == .limit)
            #expect(await code { try await topK(1...2, timeout: .zero) } == .badRequest)
            #expect(await code { _ = try await client.help("nonsense") } == .unknownVerb)
            try await client.put("items", "a", [1, 1])
        }
    }

    @Test func manyPutsInOnePipelineAndAMatrixBack() async throws {
        try await withClient { client in
            let count = 5_000
            let dimension = 32
            try await client.create("items", dimension: dimension)
            let vectors = (0..<count).map { row in (0..<dimension).map { Float(row) + Float($0) / 64 } }
            let ids = (0..<count).map { ItemID("item-\($0)") }
            let puts = await client.start(zip(ids, vectors).map { .put("items", $0, $1) })
            // This GET follows the puts on the same connection, so it sees them.
            let embeddings = try await client.get("items", ids)
            #expect(embeddings.values == vectors.flatMap { $0 })
            for result in await puts.results() { try result.get() }
        }
    }

    @Test func aKilledDaemonFailsWaitingRequests() async throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let client = try await LogQClient.connect(host: "127.0.0.1", port: Int(daemon.port))
        try await client.create("items", dimension: 1)
        try daemon.kill()
        let error = await #expect(throws: LogQError.self) { try await client.put("items", "a", [1]) }
        #expect(error?.code == .connectionLost)
        #expect(error?.request == "PUT items")
        let refused = await #expect(throws: LogQError.self) {
            _ = try await LogQClient.connect(unixSocketPath: daemon.socketPath)
        }
        #expect(refused?.code == .connectFailed)
    }
}
