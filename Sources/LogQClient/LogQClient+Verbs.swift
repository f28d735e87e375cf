/// One method for each verb. A call is one round trip. The ``LogQRequest`` of the same name documents the parameters.
///
/// All methods throw ``LogQError``: the daemon's error, or the loss of the connection. Results have the order of the
/// ids in the request. A request has 1 to 16,384 ids, unless the daemon is configured otherwise.
extension LogQClient {
    /// Checks that the daemon answers.
    public func ping() async throws(LogQError) {
        try await send(.ping())
    }

    /// Name, version, protocol and limits of the daemon.
    public func hello() async throws(LogQError) -> NamedValues {
        try await send(.hello())
    }

    /// One line for each verb, or the full text about one verb.
    public func help(_ verb: String? = nil) async throws(LogQError) -> [String] {
        try await send(.help(verb))
    }

    /// Figures about the daemon: all, or those of one section (`server`, `memory`, `storage`, …).
    public func info(_ section: String? = nil) async throws(LogQError) -> NamedValues {
        try await send(.info(section))
    }

    /// Creates a collection. Throws `exists` if the name is in use. See
    /// ``LogQRequest/create(_:dimension:metric:alpha:halfLife:recentCount:idCountMax:sketch:ifMissing:)``.
    public func create(
        _ collection: String,
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double? = nil,
        halfLife: Double? = nil,
        recentCount: Int? = nil,
        idCountMax: Int? = nil,
        sketch: Sketch? = nil,
        ifMissing: Bool = false
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
                sketch: sketch,
                ifMissing: ifMissing
            )
        )
    }

    /// Creates a collection with the parameters of another one. See
    /// ``LogQRequest/create(_:like:dimension:metric:ifMissing:)``.
    public func create(
        _ collection: String,
        like: String,
        dimension: Int? = nil,
        metric: Metric? = nil,
        ifMissing: Bool = false
    ) async throws(LogQError) {
        try await send(
            .create(collection, like: like, dimension: dimension, metric: metric, ifMissing: ifMissing)
        )
    }

    /// Removes a collection with all its items.
    public func drop(_ collection: String) async throws(LogQError) {
        try await send(.drop(collection))
    }

    /// Exchanges the names of two collections. All clients see the change at the same moment. See
    /// ``LogQRequest/swap(_:_:statistics:)``.
    public func swap(
        _ first: String,
        _ second: String,
        statistics: SwappedStatistics = .move
    ) async throws(LogQError) {
        try await send(.swap(first, second, statistics: statistics))
    }

    /// All collections, ordered by name.
    public func collections() async throws(LogQError) -> [CollectionDescription] {
        try await send(.collections())
    }

    /// Sets the embedding of an item. It is durable when the call returns. See ``LogQRequest/put(_:_:_:features:)``.
    ///
    /// A single call waits for a whole commit. To send thousands, use ``pipeline(_:)-([LogQRequest<Reply>])``.
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

    /// The embedding of an item, or nil if it has none.
    public func get(_ collection: String, _ id: ItemID) async throws(LogQError) -> [Float]? {
        try await send(.get(collection, [id]))[0].map { Array($0) }
    }

    /// Removes embeddings, features and statistics. Returns, for each id, whether there was anything to remove.
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

    /// Replaces the features of an item with a JSON object.
    public func setFeatures(_ collection: String, _ id: ItemID, _ features: String) async throws(LogQError) {
        try await send(.setFeatures(collection, id, features))
    }

    /// Changes some keys of an item's features. See ``LogQRequest/mergeFeatures(_:_:_:)``.
    public func mergeFeatures(_ collection: String, _ id: ItemID, _ changes: String) async throws(LogQError) {
        try await send(.mergeFeatures(collection, id, changes))
    }

    /// The features of some ids: for each, a JSON object with all keys or only `fields`, or nil.
    public func features(
        _ collection: String,
        _ ids: [ItemID],
        fields: [String] = []
    ) async throws(LogQError) -> [String?] {
        try await send(.features(collection, ids, fields: fields))
    }

    /// Counts a trainer's batch. See ``LogQRequest/observe(_:step:ids:sequence:run:jumps:)``.
    public func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false
    ) async throws(LogQError) {
        try await send(.observe(collection, step: step, ids: ids, sequence: sequence, run: run, jumps: jumps))
    }

    /// Counts a trainer's batch, without its new ids if there is no room for them. Returns the ids that were not
    /// counted. See ``LogQRequest/observeSkippingWhenFull(_:step:ids:sequence:run:jumps:)``.
    public func observeSkippingWhenFull(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false
    ) async throws(LogQError) -> [ItemID] {
        try await send(
            .observeSkippingWhenFull(collection, step: step, ids: ids, sequence: sequence, run: run, jumps: jumps)
        )
    }

    /// Counts a trainer's batch, and returns the values that the trainer subtracts from the logits of this batch. See
    /// ``LogQRequest/observe(_:step:ids:returning:strength:sequence:run:jumps:skippingWhenFull:)``.
    public func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        returning unit: FrequencyUnit,
        strength: Double? = nil,
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false,
        skippingWhenFull: Bool = false
    ) async throws(LogQError) -> [LogQ] {
        try await send(
            .observe(
                collection,
                step: step,
                ids: ids,
                returning: unit,
                strength: strength,
                sequence: sequence,
                run: run,
                jumps: jumps,
                skippingWhenFull: skippingWhenFull
            )
        )
    }

    /// Stores a trainer's own estimates. See ``LogQRequest/setFrequencies(_:step:_:run:jumps:)``.
    public func setFrequencies(
        _ collection: String,
        step: Int64?,
        _ updates: [FrequencyUpdate],
        run: String? = nil,
        jumps: Bool = false
    ) async throws(LogQError) {
        try await send(.setFrequencies(collection, step: step, updates, run: run, jumps: jumps))
    }

    /// The steps of a collection, its runs and its producers. See ``LogQRequest/clock(_:)``.
    public func clock(_ collection: String) async throws(LogQError) -> NamedValues {
        try await send(.clock(collection))
    }

    /// Sets the last step of a collection, to undo a mistake. See ``LogQRequest/setClock(_:to:)``.
    public func setClock(_ collection: String, to step: Int64) async throws(LogQError) {
        try await send(.setClock(collection, to: step))
    }

    /// The values that a trainer subtracts from the logits of these ids. See
    /// ``LogQRequest/logQ(_:ids:unit:strength:)``.
    public func logQ(
        _ collection: String,
        ids: [ItemID],
        unit: FrequencyUnit = .q,
        strength: Double? = nil
    ) async throws(LogQError) -> [LogQ] {
        try await send(.logQ(collection, ids: ids, unit: unit, strength: strength))
    }

    /// The statistics and sampling frequencies of these ids.
    public func frequencies(
        _ collection: String,
        ids: [ItemID],
        batch: Int? = nil
    ) async throws(LogQError) -> [Frequency] {
        try await send(.frequencies(collection, ids: ids, batch: batch))
    }

    /// A page of all ids, the highest count first. Throws `timeout` and `busy` as `topK` does. See
    /// ``LogQRequest/popular(_:_:after:timeout:)``.
    public func popular(
        _ collection: String,
        _ count: Int,
        after last: PopularID? = nil,
        timeout: Duration? = nil
    ) async throws(LogQError) -> [PopularID] {
        try await send(.popular(collection, count, after: last, timeout: timeout))
    }

    /// The items with the highest scores. Throws `timeout` if the daemon has no answer in time, and `busy` if too many
    /// queries wait. See ``LogQRequest/topK(_:_:nearest:strength:ranks:radius:except:margin:sample:with:timeout:)``.
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
    /// ``LogQRequest/sample(_:_:by:unique:insist:except:seed:with:timeout:)``.
    public func sample(
        _ collection: String,
        _ count: Int,
        by distribution: SamplingDistribution = .uniform,
        unique: Bool = false,
        insist: Bool = false,
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
                insist: insist,
                except: except,
                seed: seed,
                with: columns,
                timeout: timeout
            )
        )
    }

    /// The scores of some ids against a vector; nil for an id without an embedding.
    public func score(
        _ collection: String,
        _ vector: [Float],
        _ ids: [ItemID]
    ) async throws(LogQError) -> [Double?] {
        try await send(.score(collection, vector, ids))
    }
}
