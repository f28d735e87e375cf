/// A store of embeddings, as the trainer and the evaluation see it. `DaemonStore` sends the requests to a real `logqd`.
/// Dependencies are identified by their numbers.
protocol EmbeddingStore: Sendable {
    /// Counts the batch of a step. Returns log q of each of its items, with this batch included. In the same round trip
    /// it also draws items uniformly.
    func observe(_ batch: [Int32], step: Int64, drawing: UniformDraw) async throws -> Observation

    /// For each question, `count` random items from a range of ranks. All questions are sent together.
    func hardNegatives(for questions: [HardQuestion], ranks: ClosedRange<Int>, count: Int) async throws -> [[Int32]]

    /// Stores embeddings.
    func put(_ embeddings: [Embedding]) async throws

    /// The k dependencies with the highest scores, best first.
    func nearest(to query: [Float], k: Int, except: [Int32]) async throws -> [Int32]

    /// The number of observations of each of these dependencies.
    func counts(of dependencies: [Int32]) async throws -> [Double]
}

struct Embedding: Sendable {
    let dependency: Int32
    let vector: [Float]
}

/// A draw in which every item has the same probability.
struct UniformDraw: Sendable {
    var count = 0
    var seed: UInt64 = 0
}

struct Observation: Sendable {
    /// log q of each item of the batch. q is the probability of the item per draw.
    var batch: [Double]
    var drawn: [DrawnItem] = []
}

struct DrawnItem: Sendable {
    let dependency: Int32
    /// The probability of the draw: 1/M for M items.
    let probability: Double
    /// log q, estimated from the observations.
    let logQ: Double
}

/// A request for hard negatives for one query.
struct HardQuestion: Sendable {
    let query: [Float]
    /// The positives.
    let except: [Int32]
    let seed: UInt64
}
