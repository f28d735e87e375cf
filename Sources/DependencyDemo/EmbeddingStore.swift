/// What the trainer and the evaluation ask of a store. `DaemonStore` asks a real `logqd`; nothing else of the demo knows
/// how. Dependencies go by their number.
protocol EmbeddingStore: Sendable {
    /// This batch was drawn at this step. Answers the frequency of each of it, this one counted already; and, in the same
    /// round trip, so many more items drawn uniformly.
    func observe(_ batch: [Int32], step: Int64, drawing: UniformDraw) async throws -> Observation

    /// For each question a few items at random from a range of ranks, all questions asked together.
    func hardNegatives(for questions: [HardQuestion], ranks: ClosedRange<Int>, count: Int) async throws -> [[Int32]]

    /// These embeddings have changed.
    func put(_ embeddings: [Embedding]) async throws

    /// The k dependencies with the highest scores, best first.
    func nearest(to query: [Float], k: Int, except: [Int32]) async throws -> [Int32]

    /// How often each of these was observed.
    func counts(of dependencies: [Int32]) async throws -> [Double]
}

/// An embedding on its way to the store.
struct Embedding: Sendable {
    let dependency: Int32
    let vector: [Float]
}

/// Items to be drawn, each as likely as any other.
struct UniformDraw: Sendable {
    var count = 0
    var seed: UInt64 = 0
}

struct Observation: Sendable {
    /// log q of each item of the batch, q being the probability of being the next one in the stream.
    var batch: [Double]
    var drawn: [DrawnItem] = []
}

struct DrawnItem: Sendable {
    let dependency: Int32
    /// The probability of the draw: 1/M.
    let probability: Double
    /// log q of the stream.
    let logQ: Double
}

/// What would be a hard negative for this query?
struct HardQuestion: Sendable {
    let query: [Float]
    /// The positives.
    let except: [Int32]
    let seed: UInt64
}
