internal import LogQClient

/// An `EmbeddingStore` in a real daemon, with one collection and three connections.
///
/// The trainer has two connections over the Unix socket: one for the requests of a step, and one for the stream of
/// embeddings. So the requests of a step never wait for commits of embeddings. The third connection uses TCP, like a
/// service on another machine.
struct DaemonStore: EmbeddingStore {
    let collection: String
    private let ids: [ItemID]
    private let numbers: [ItemID: Int32]
    private let trainer: LogQClient
    private let stream: LogQClient
    private let service: LogQClient
    /// The timeout of a query. It is long, so that a slow machine does not end the demo.
    private let patience = Duration.seconds(60)

    init(collection: String, dependencies: [String], trainer: LogQClient, stream: LogQClient, service: LogQClient) {
        self.collection = collection
        self.ids = dependencies.map { ItemID($0) }
        self.numbers = Dictionary(uniqueKeysWithValues: zip(ids, Int32(0)...))
        self.trainer = trainer
        self.stream = stream
        self.service = service
    }

    func create(dimension: Int, alpha: Double) async throws {
        try await trainer.send(.create(collection, dimension: dimension, metric: .dot, alpha: alpha))
    }

    func observe(_ batch: [Int32], step: Int64, drawing: UniformDraw) async throws -> Observation {
        let batch = batch.map { ids[Int($0)] }
        let observe = LogQRequest.observe(collection, step: step, ids: batch, returning: .q)
        guard drawing.count > 0 else { return Observation(batch: try await trainer.send(observe).map(\.value)) }
        let (observed, drawn) = try await trainer.pipeline(
            observe,
            .sample(collection, drawing.count, seed: drawing.seed, with: .logQ, timeout: patience)
        )
        let items = try drawn.map {
            DrawnItem(dependency: try number(of: $0.id), probability: $0.q, logQ: $0.logQ ?? 0)
        }
        return Observation(batch: observed.map(\.value), drawn: items)
    }

    func hardNegatives(for questions: [HardQuestion], ranks: ClosedRange<Int>, count: Int) async throws -> [[Int32]] {
        let requests = questions.map { question in
            LogQRequest.topK(
                collection,
                ranks.count,
                nearest: .vector(question.query),
                ranks: ranks,
                except: question.except.map { ids[Int($0)] },
                sample: .random(count, seed: question.seed),
                timeout: patience
            )
        }
        return try await trainer.pipeline(requests).map { try $0.get().map { try number(of: $0.id) } }
    }

    func put(_ embeddings: [Embedding]) async throws {
        let requests = embeddings.map { LogQRequest.put(collection, ids[Int($0.dependency)], $0.vector) }
        for result in await stream.pipeline(requests) { try result.get() }
    }

    func nearest(to query: [Float], k: Int, except: [Int32]) async throws -> [Int32] {
        let neighbors = try await service.send(
            .topK(
                collection,
                k,
                nearest: .vector(query),
                except: except.map { ids[Int($0)] },
                timeout: patience
            )
        )
        return try neighbors.map { try number(of: $0.id) }
    }

    func counts(of dependencies: [Int32]) async throws -> [Double] {
        var counts: [Double] = []
        for start in stride(from: 0, to: dependencies.count, by: 8_192) {
            let part = dependencies[start..<min(start + 8_192, dependencies.count)].map { ids[Int($0)] }
            counts += try await service.send(.frequencies(collection, ids: part)).map(\.count)
        }
        return counts
    }

    private func number(of id: ItemID) throws(DemoError) -> Int32 {
        guard let number = numbers[id] else {
            throw DemoError("\(collection) answered '\(id)', which was never put there")
        }
        return number
    }
}
