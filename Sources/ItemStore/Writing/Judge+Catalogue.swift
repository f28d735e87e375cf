import VectorIndex

/// Judging changes of the catalogue. Each change first commits the pending operations, and is then a group of its own.
/// So later writes are judged with the new catalogue, and no pending operation changes it. A change that is refused by
/// name leaves the pending operations alone, so other clients do not pay for it.
extension Judge {
    /// Creates a collection with the configuration of another, except for its vectors.
    func create(
        _ name: String,
        like model: String,
        dimension: Int?,
        metric: Metric?,
        _ ifExists: Write.IfExists
    ) throws(StoreError) {
        guard let collection = catalogue[model] else { throw .noCollection(model) }
        try create(name, collection.configuration.with(dimension: dimension, metric: metric), ifExists)
    }

    /// The number `UInt32.max` is never used, because `nextCollectionNumber` could not rise above it.
    func create(
        _ name: String,
        _ configuration: CollectionConfiguration,
        _ ifExists: Write.IfExists
    ) throws(StoreError) {
        if ifExists != .refuse, let known = catalogue[name]?.configuration {
            let difference = known.difference(from: configuration, withSeed: ifExists == .acceptEqual)
            guard let difference else { return }
            throw StoreError(.exists, "there is a collection '\(name)' already, with another \(difference)")
        }
        try checkName(name)
        try group.commitPending()
        try checkCreation(of: configuration)
        let number = records.nextCollectionNumber
        guard number < .max else { throw StoreError(.limit, "all \(number) numbers for collections are used up") }
        try records.prepare(configuration, number: number)
        try group.commitAlone {
            $0.create(collection: number, CatalogueRecord(name: name, configuration: configuration))
        }
    }

    /// Throws `exists` if a collection has the name.
    func checkName(_ name: String) throws(StoreError) {
        guard catalogue[name] == nil else { throw StoreError(.exists, "there is a collection '\(name)' already") }
    }

    /// Throws `limit` or `full` if there can't be such a collection.
    func checkCreation(of configuration: CollectionConfiguration) throws(StoreError) {
        guard catalogue.count < limits.collectionsMax else {
            throw StoreError(.limit, "there are \(catalogue.count) collections, at most \(limits.collectionsMax) fit")
        }
        guard configuration.dimension <= limits.dimensionMax else {
            throw StoreError(.limit, "got dimension \(configuration.dimension), at most \(limits.dimensionMax)")
        }
        let needed = Collection.initialByteCount(configuration)
        try checkMemory(needed, for: configuration.sketch == nil ? "a collection of" : "a sketch of")
    }

    /// The checkpoint erases the records of the collection later, in slices.
    func drop(_ name: String) throws(StoreError) {
        guard let collection = catalogue[name] else { throw .noCollection(name) }
        try group.commitPending()
        try group.commitAlone { $0.drop(collection: collection.number) }
    }

    /// Each collection keeps its number, so its records do not change. If the first name keeps its statistics, the
    /// collection that gets this name takes them over in the same group.
    func swap(_ first: String, _ second: String, _ statistics: Write.SwappedStatistics) throws(StoreError) {
        guard let firstCollection = catalogue[first] else { throw .noCollection(first) }
        guard let secondCollection = catalogue[second] else { throw .noCollection(second) }
        try group.commitPending()
        if statistics == .stay, firstCollection !== secondCollection {
            try encodeHandover(from: firstCollection, to: secondCollection)
        }
        group.encoder.swap((firstCollection.number, second), (secondCollection.number, first))
        try group.commitEncoded()
        guard statistics == .stay else { return }
        secondCollection.forgetJudged()
        secondCollection.stepCounters.set(firstCollection.stepCounters)
    }
}
