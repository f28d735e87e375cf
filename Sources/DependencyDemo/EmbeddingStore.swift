/// What the trainer and the evaluation ask of a store. `DaemonStore` asks a real `logqd`; nothing else of the demo knows
/// how. Dependencies go by their number.
protocol EmbeddingStore: Sendable {
    /// This batch was drawn at this step. Answers log p for each of it, p being the probability of standing in a batch, this
    /// one counted already.
    func observe(_ batch: [Int32], step: Int64) async throws -> [Double]

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
