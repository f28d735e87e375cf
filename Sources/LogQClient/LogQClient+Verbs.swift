/// One method a verb. Each is one round trip; the parameters are described at the requests of the same name.
///
/// All throw ``LogQError``: what the daemon says, or that the connection did not carry it. Ids come back in the order in
/// which they were asked for. Lists of ids hold 1 to 16,384.
extension LogQClient {
    /// A round trip and nothing else.
    public func ping() async throws(LogQError) {
        try await send(.ping())
    }

    /// Name, version, protocol and limits of the daemon.
    public func hello() async throws(LogQError) -> NamedValues {
        try await send(.hello())
    }

    /// A line for each verb, or all about one verb.
    public func help(_ verb: String? = nil) async throws(LogQError) -> [String] {
        try await send(.help(verb))
    }

    /// Numbers about the daemon, or those of one section (`server`, `memory`, `storage`, …).
    public func info(_ section: String? = nil) async throws(LogQError) -> NamedValues {
        try await send(.info(section))
    }

    /// Makes a collection. Throws `exists` if there is one of that name. See
    /// ``LogQRequest/create(_:dimension:metric:alpha:halfLife:recentCount:idCountMax:sketch:)``.
    public func create(
        _ collection: String,
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double? = nil,
        halfLife: Double? = nil,
        recentCount: Int? = nil,
        idCountMax: Int? = nil,
        sketch: Sketch? = nil
    ) async throws(LogQError) {
        try await send(
            .create(
                collection,
                dimension: dimension,
                metric: metric,
                alpha: alpha,
                halfLife: halfLife,
                recentCount: recentCount,
                idCountMax: idCountMax,
                sketch: sketch
            )
        )
    }

    /// Removes a collection with all its items.
    public func drop(_ collection: String) async throws(LogQError) {
        try await send(.drop(collection))
    }

    /// Two collections exchange their names, for everybody at the same moment. See ``LogQRequest/swap(_:_:)``.
    public func swap(_ first: String, _ second: String) async throws(LogQError) {
        try await send(.swap(first, second))
    }

    /// All collections, by name.
    public func collections() async throws(LogQError) -> [CollectionDescription] {
        try await send(.collections())
    }

    /// Sets the embedding of an item. Durable when it returns. See ``LogQRequest/put(_:_:_:features:)``.
    ///
    /// A single put waits for a commit of its own; thousands belong into a ``pipeline(_:)-([LogQRequest<Reply>])``.
    public func put(
        _ collection: String,
        _ id: ItemID,
        _ vector: [Float],
        features: String? = nil
    ) async throws(LogQError) {
        try await send(.put(collection, id, vector, features: features))
    }

    /// The embeddings of some ids, as one matrix.
    public func get(_ collection: String, _ ids: [ItemID]) async throws(LogQError) -> Embeddings {
        try await send(.get(collection, ids))
    }

    /// The embedding of an item, or nil.
    public func get(_ collection: String, _ id: ItemID) async throws(LogQError) -> [Float]? {
        try await send(.get(collection, [id]))[0].map { Array($0) }
    }

    /// Removes embeddings, features and statistics. For each id: whether there was anything.
    @discardableResult
    public func delete(_ collection: String, _ ids: [ItemID]) async throws(LogQError) -> [Bool] {
        try await send(.delete(collection, ids))
    }

    /// A page of the items. See ``LogQRequest/scan(_:after:limit:)``.
    public func scan(
        _ collection: String,
        after row: UInt32? = nil,
        limit: Int? = nil
    ) async throws(LogQError) -> [ScannedItem] {
        try await send(.scan(collection, after: row, limit: limit))
    }

    /// Replaces the features of an item by a JSON object.
    public func setFeatures(_ collection: String, _ id: ItemID, _ features: String) async throws(LogQError) {
        try await send(.setFeatures(collection, id, features))
    }

    /// The features of some ids, each a JSON object or nil; all keys, or those named.
    public func features(
        _ collection: String,
        _ ids: [ItemID],
        fields: [String] = []
    ) async throws(LogQError) -> [String?] {
        try await send(.features(collection, ids, fields: fields))
    }

    /// Counts a batch of the trainer. See ``LogQRequest/observe(_:step:ids:sequence:)``.
    public func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: WriterSequence? = nil
    ) async throws(LogQError) {
        try await send(.observe(collection, step: step, ids: ids, sequence: sequence))
    }

    /// Counts a batch of the trainer and returns what it subtracts from the logits of this batch. See
    /// ``LogQRequest/observe(_:step:ids:returning:strength:sequence:)``.
    public func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        returning unit: FrequencyUnit,
        strength: Double? = nil,
        sequence: WriterSequence? = nil
    ) async throws(LogQError) -> [LogQ] {
        try await send(
            .observe(collection, step: step, ids: ids, returning: unit, strength: strength, sequence: sequence)
        )
    }

    /// Streams in a trainer's own estimates. See ``LogQRequest/setFrequencies(_:step:_:)``.
    public func setFrequencies(
        _ collection: String,
        step: Int64?,
        _ updates: [FrequencyUpdate]
    ) async throws(LogQError) {
        try await send(.setFrequencies(collection, step: step, updates))
    }

    /// What a trainer subtracts from the logits of these ids. See ``LogQRequest/logQ(_:ids:unit:strength:)``.
    public func logQ(
        _ collection: String,
        ids: [ItemID],
        unit: FrequencyUnit = .q,
        strength: Double? = nil
    ) async throws(LogQError) -> [LogQ] {
        try await send(.logQ(collection, ids: ids, unit: unit, strength: strength))
    }

    /// All that is known about how often these ids are sampled.
    public func frequencies(
        _ collection: String,
        ids: [ItemID],
        batch: Int? = nil
    ) async throws(LogQError) -> [Frequency] {
        try await send(.frequencies(collection, ids: ids, batch: batch))
    }

    /// The items with the highest scores. Throws `timeout` if the daemon has no answer in time, and `busy` if too many
    /// searches wait. See ``LogQRequest/topK(_:_:nearest:strength:ranks:radius:except:margin:sample:with:timeout:)``.
    public func topK(
        _ collection: String,
        _ k: Int,
        nearest query: TopKQuery,
        strength: Double? = nil,
        ranks: ClosedRange<Int>? = nil,
        radius: Double? = nil,
        except: [ItemID] = [],
        margin: Double? = nil,
        sample: TopKSample? = nil,
        with columns: TopKColumns = [],
        timeout: Duration? = nil
    ) async throws(LogQError) -> [Neighbor] {
        try await send(
            .topK(
                collection,
                k,
                nearest: query,
                strength: strength,
                ranks: ranks,
                radius: radius,
                except: except,
                margin: margin,
                sample: sample,
                with: columns,
                timeout: timeout
            )
        )
    }

    /// Draws negatives, each with its probability. Throws `busy` and `timeout` as `topK` does. See
    /// ``LogQRequest/sample(_:_:by:unique:except:seed:with:timeout:)``.
    public func sample(
        _ collection: String,
        _ count: Int,
        by distribution: SamplingDistribution = .uniform,
        unique: Bool = false,
        except: [ItemID] = [],
        seed: UInt64? = nil,
        with columns: SampleColumns = [],
        timeout: Duration? = nil
    ) async throws(LogQError) -> [SampledItem] {
        try await send(
            .sample(
                collection,
                count,
                by: distribution,
                unique: unique,
                except: except,
                seed: seed,
                with: columns,
                timeout: timeout
            )
        )
    }

    /// The scores of given ids against a vector; nil for an id without embedding.
    public func score(
        _ collection: String,
        _ vector: [Float],
        _ ids: [ItemID]
    ) async throws(LogQError) -> [Double?] {
        try await send(.score(collection, vector, ids))
    }
}
