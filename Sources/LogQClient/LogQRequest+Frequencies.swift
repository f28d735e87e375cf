import WireProtocol

/// Requests about sampling frequencies.
extension LogQRequest where Reply == Void {
    /// `OBSERVE`: these ids were in the batch of this step.
    ///
    /// Repeat an id that occurs twice in the batch: it then counts twice for q, but once for the gap. Ids may be new.
    ///
    /// - Parameters:
    ///   - step: the trainer's step, 0 or more; nil for the step after the collection's last one. A step up to 64 below
    ///     the run's last one is late, and counts where it belongs.
    ///   - ids: 1 to 16,384.
    ///   - sequence: makes it safe to send the observation again.
    ///   - run: the run of the trainer. Choose a new name whenever the trainer starts. Its first step is then the
    ///     collection's next one. Without names, steps that begin again are refused.
    ///   - jumps: the step is meant, however late or far ahead it is.
    public static func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("OBSERVE", collection, isWrite: true) { (writer) throws(WireError) in
                try writer.observation(step, sequence, run, jumps)
                try writer.ids(ids)
            }
        )
    }

    /// `FREQSET`: sets estimates that the trainer computed itself. `OBSERVE` continues from them.
    ///
    /// - Parameters:
    ///   - step: the step at which these ids were last seen; nil for one more than the last.
    ///   - updates: 1 to 16,384. If an id occurs twice, its last update wins.
    ///   - run: the run of the trainer, and `jumps`, as in ``observe(_:step:ids:sequence:run:jumps:)``.
    public static func setFrequencies(
        _ collection: String,
        step: Int64?,
        _ updates: [FrequencyUpdate],
        run: String? = nil,
        jumps: Bool = false
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("FREQSET", collection, isWrite: true) { (writer) throws(WireError) in
                writer.step(step)
                try writer.run(run, jumps: jumps)
                for update in updates {
                    try writer.id(update.id)
                    writer.number(orDash: update.gap)
                    writer.number(orDash: update.count)
                }
            }
        )
    }
}

extension LogQRequest where Reply == NamedValues {
    /// `CLOCK`: the first and last step of a collection, its runs, and the last number of each producer.
    public static func clock(_ collection: String) -> LogQRequest {
        LogQRequest(RequestLine("CLOCK", collection)) { (rows) throws(ReplyFormatError) in try rows.namedValues() }
    }
}

extension LogQRequest where Reply == Void {
    /// `CLOCKSET`: sets the last step of a collection, to undo a mistake. Counts and gaps stay. An id that was seen
    /// later counts as seen at this step.
    public static func setClock(_ collection: String, to step: Int64) -> LogQRequest {
        LogQRequest(RequestLine("CLOCKSET", collection, isWrite: true) { writer in writer.step(step) })
    }
}

extension LogQRequest where Reply == [ItemID] {
    /// `OBSERVE` with `full=skip`: if there is no room for the new ids of the batch, none of them is counted. Returns
    /// the ids that were not counted, in the order of the batch; usually none.
    public static func observeSkippingWhenFull(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false
    ) -> LogQRequest {
        let line = RequestLine("OBSERVE", collection, isWrite: true) { (writer) throws(WireError) in
            try writer.observation(step, sequence, run, jumps)
            writer.option("full", "skip")
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in try row.id() }
        }
    }
}

extension LogQRequest where Reply == [LogQ] {
    /// `OBSERVE` with `return=`: counts a trainer's batch, and returns the values that `LOGQ` would return right after.
    ///
    /// The values are in the order of `ids`, and include no later writes of other clients. So a step costs one round
    /// trip.
    ///
    /// - Parameters:
    ///   - ids: 1 to 16,384. Repeat an id that occurs twice in the batch.
    ///   - unit: the frequency to use, as in ``logQ(_:ids:unit:strength:)``.
    ///   - strength: a factor λ for the logarithm, −1,000 to 1,000; 1 if nil.
    ///   - sequence: makes it safe to send the observation again. A repeated observation is answered but not counted.
    ///   - run: the run of the trainer, and `jumps`, as in ``observe(_:step:ids:sequence:run:jumps:)``.
    ///   - skippingWhenFull: if there is no room for the new ids of the batch, counts the others. New ids are then
    ///     `unseen` in the reply.
    public static func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        returning unit: FrequencyUnit,
        strength: Double? = nil,
        sequence: ProducerSequence? = nil,
        run: String? = nil,
        jumps: Bool = false,
        skippingWhenFull: Bool = false
    ) -> LogQRequest {
        let line = RequestLine("OBSERVE", collection, isWrite: true) { (writer) throws(WireError) in
            try writer.observation(step, sequence, run, jumps)
            if skippingWhenFull { writer.option("full", "skip") }
            writer.option("return", "logq")
            writer.correction(unit, strength)
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.logQ(expected: ids.count) }
    }

    /// `LOGQ`: the natural logarithm of the sampling frequency of each of 1 to 16,384 ids. It is finite for unknown ids
    /// too.
    ///
    /// - Parameters:
    ///   - unit: the frequency to use: `.q` per draw, `.p` of being in a batch, or `.expected(batch:)` for the expected
    ///     count in a batch.
    ///   - strength: a factor λ for the logarithm, −1,000 to 1,000; 1 if nil.
    public static func logQ(
        _ collection: String,
        ids: [ItemID],
        unit: FrequencyUnit = .q,
        strength: Double? = nil
    ) -> LogQRequest {
        let line = RequestLine("LOGQ", collection) { (writer) throws(WireError) in
            writer.correction(unit, strength)
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.logQ(expected: ids.count) }
    }
}

extension RequestWriter {
    fileprivate mutating func observation(
        _ step: Int64?,
        _ sequence: ProducerSequence?,
        _ run: String?,
        _ jumps: Bool
    ) throws(WireError) {
        self.step(step)
        try self.sequence(sequence)
        try self.run(run, jumps: jumps)
    }

    fileprivate mutating func run(_ run: String?, jumps: Bool) throws(WireError) {
        if let run {
            try RequestWriter.check(run, of: "run")
            option("run", run)
        }
        if jumps { option("jump", "true") }
    }

    fileprivate mutating func sequence(_ sequence: ProducerSequence?) throws(WireError) {
        guard let sequence else { return }
        try RequestWriter.check(sequence.producer, of: "writer")
        option("seq", "\(sequence.producer):\(sequence.number)")
    }

    fileprivate mutating func correction(_ unit: FrequencyUnit, _ strength: Double?) {
        switch unit {
        case .q: option("unit", "q")
        case .p: option("unit", "p")
        case .expected(let batch):
            option("unit", "expected")
            option("batch", Int64(batch))
        }
        if let strength { option("strength", strength) }
    }
}

extension ReplyRows {
    /// Rows `id log state`.
    fileprivate func logQ(expected: Int) throws(ReplyFormatError) -> [LogQ] {
        try map(expected: expected) { (row) throws(ReplyFormatError) in
            try row.skipID()
            return LogQ(value: try row.number(), state: try row.state())
        }
    }
}

extension LogQRequest where Reply == [Frequency] {
    /// `FREQ`: the statistics and sampling frequencies of 1 to 16,384 ids.
    ///
    /// - Parameter batch: the number of draws in a batch, for ``Frequency/expected``.
    public static func frequencies(_ collection: String, ids: [ItemID], batch: Int? = nil) -> LogQRequest {
        let line = RequestLine("FREQ", collection) { (writer) throws(WireError) in
            if let batch { writer.option("batch", Int64(batch)) }
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map(expected: ids.count) { (row) throws(ReplyFormatError) in
                try row.skipID()
                return Frequency(
                    q: try row.number(of: "q"),
                    p: try row.number(of: "p"),
                    expected: try row.optionalNumber(of: "expected"),
                    gap: try row.optionalNumber(of: "gap"),
                    count: try row.number(of: "count"),
                    lastStep: try row.optionalInteger(of: "last"),
                    state: try RowReader.state(try row.value(of: "state"))
                )
            }
        }
    }
}

extension LogQRequest where Reply == [PopularID] {
    /// `POPULAR`: a page of all ids, the highest count first, with or without an embedding. Equal counts are ordered by
    /// id.
    ///
    /// An id that is not written between the first page and the last is on exactly one page.
    ///
    /// - Parameters:
    ///   - count: the most ids of the page, 1 to 16,384. A page with fewer ids is the last.
    ///   - last: the last row of the previous page; nil for the first page.
    ///   - timeout: 1 ms to 60 s, rounded up to whole milliseconds; nil for the daemon's default. A page that is not
    ///     complete within this time fails with ``LogQError/Code-swift.enum/timeout``. If too many queries wait, it
    ///     fails with ``LogQError/Code-swift.enum/busy``.
    public static func popular(
        _ collection: String,
        _ count: Int,
        after last: PopularID? = nil,
        timeout: Duration? = nil
    ) -> LogQRequest {
        let line = RequestLine("POPULAR", collection) { (writer) throws(WireError) in
            writer.integer(Int64(count))
            if let last { try writer.option("after", last) }
            if let timeout { writer.option("timeout_ms", timeout.wholeMilliseconds) }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in
                PopularID(try row.id(), count: try row.number(), step: try row.optionalInteger())
            }
        }
    }
}
