/// The parameters of a data set's vectors. One seed gives the same bits on every machine.
///
/// An item has a topic, of power-law size, and a place around the middle of its topic, in a latent space of few
/// dimensions. A tower (a random linear map, a squashing function, a random linear map) maps the place to the
/// embedding, and noise is added. So the intrinsic dimension is low in a wide space, as in learned embeddings.
///
/// A query comes from a place between two topics, shifted, through its own tower, which only resembles that of the
/// items. So, as in a two-tower model, queries are not distributed like items. This makes a data set hard for an index
/// that is built from the items alone.
struct Recipe: Sendable {
    /// Latent dimensions for each dimension of the embedding: 24 of 64.
    var latentShare = 0.375
    var topicCount = 2_000
    /// Topic n has a size proportional to n^-exponent.
    var topicExponent = 0.9
    /// The share of the variance within a topic. Near 1 topics overlap; near 0 they are tight clusters.
    var varianceWithinTopics: Float = 0.64
    /// Relative to the length of the vector.
    var itemNoise: Float = 0.2
    var queryNoise: Float = 0.4
    /// The distance by which all queries are shifted in the latent space.
    var queryShift: Float = 0.8
    /// The difference between the queries' tower and the items' tower.
    var queryTowerDifference: Float = 0.5
    var areQueriesBetweenTopics = true
    /// The sigma of the log-normal lengths; 0: all lengths are 1.
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
