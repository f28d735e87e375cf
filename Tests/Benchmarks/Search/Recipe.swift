/// How the vectors of a data set come about: the same bits for one seed on every machine.
///
/// An item has a topic, of power-law size, and a place around the middle of its topic, in a latent space of few
/// dimensions. A tower (random linear, bent, random linear) maps it to the embedding, and noise is added: a low
/// intrinsic dimension in a wide space, as learned embeddings have. A query comes from a place between two topics,
/// shifted, through a tower of its own that only resembles the items': as in a two-tower model, queries are not
/// distributed as items are. That is what makes a data set hard for an index built from the items alone.
struct Recipe: Sendable {
    /// For each number of the embedding: 24 of 64.
    var latentShare = 0.375
    var topicCount = 2_000
    /// Topic n has a share of n^-exponent.
    var topicExponent = 0.9
    /// The share of the variance that is within a topic: near 1 topics overlap, near 0 they are tight clusters.
    var varianceWithinTopics: Float = 0.64
    /// Relative to the length of the vector.
    var itemNoise: Float = 0.2
    var queryNoise: Float = 0.4
    /// How far all queries are shifted in the latent space.
    var queryShift: Float = 0.8
    /// How much the queries' tower differs from the items'.
    var queryTowerDifference: Float = 0.5
    var areQueriesBetweenTopics = true
    /// Lengths are log-normal with this sigma; 0: all are 1.
    var normSigma: Double = 0

    static let hard = Recipe()
    static let norms = Recipe(normSigma: 1)
    static let easy = Recipe(
        topicCount: 10_000,
        varianceWithinTopics: 0.03,
        itemNoise: 0.05,
        queryNoise: 0.05,
        queryShift: 0,
        queryTowerDifference: 0,
        areQueriesBetweenTopics: false
    )
}
