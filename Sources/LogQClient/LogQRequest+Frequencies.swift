import WireProtocol

/// Requests about sampling frequencies: observe batches, ask for log Q.
extension LogQRequest where Reply == Void {
    /// `OBSERVE`: these ids were in the batch of this step.
    ///
    /// Repeat an id that occurs twice in the batch: it counts twice for q, once for the gap. Ids need not be known.
    ///
    /// - Parameters:
    ///   - step: the trainer's global step, 0 or more. Nil: one more than the last. A step that is late counts, but never
    ///     moves anything back.
    ///   - ids: 1 to 16,384.
    ///   - sequence: makes it safe to send the observation again.
    public static func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        sequence: WriterSequence? = nil
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("OBSERVE", collection, isWrite: true) { (writer) throws(WireError) in
                try writer.observation(step, sequence)
                try writer.ids(ids)
            }
        )
    }

    /// `FREQSET`: estimates that the trainer keeps itself. `OBSERVE` continues from them.
    ///
    /// - Parameters:
    ///   - step: the step in which these ids were last seen. Nil: one more than the last.
    ///   - updates: 1 to 16,384; the last one wins for an id that occurs twice.
    public static func setFrequencies(
        _ collection: String,
        step: Int64?,
        _ updates: [FrequencyUpdate]
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("FREQSET", collection, isWrite: true) { (writer) throws(WireError) in
                writer.step(step)
                for update in updates {
                    try writer.id(update.id)
                    writer.number(orDash: update.gap)
                    writer.number(orDash: update.count)
                }
            }
        )
    }
}

extension LogQRequest where Reply == [LogQ] {
    /// `OBSERVE` that answers: counts a batch of the trainer and returns what `LOGQ` says of its ids right after, one for each
    /// in the order of `ids`. What others write meanwhile is not in it. One round trip a step.
    ///
    /// - Parameters:
    ///   - ids: 1 to 16,384. Repeat an id that occurs twice in the batch.
    ///   - unit: which frequency, as in ``logQ(_:ids:unit:strength:)``.
    ///   - strength: a factor λ for the logarithm, −1,000 to 1,000; 1 if nil.
    ///   - sequence: makes it safe to send the observation again. A repeated one is not counted, but answered.
    public static func observe(
        _ collection: String,
        step: Int64?,
        ids: [ItemID],
        returning unit: FrequencyUnit,
        strength: Double? = nil,
        sequence: WriterSequence? = nil
    ) -> LogQRequest {
        let line = RequestLine("OBSERVE", collection, isWrite: true) { (writer) throws(WireError) in
            try writer.observation(step, sequence)
            writer.option("return", "logq")
            writer.correction(unit, strength)
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.logQ(expected: ids.count) }
    }

    /// `LOGQ`: for each of 1 to 16,384 ids the natural logarithm of its sampling frequency. Unknown ids get a finite one, too.
    ///
    /// - Parameters:
    ///   - unit: which frequency: `.q` per draw, `.p` of being in a batch, `.expected(batch:)` in a batch of that size.
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
    fileprivate mutating func observation(_ step: Int64?, _ sequence: WriterSequence?) throws(WireError) {
        self.step(step)
        guard let sequence else { return }
        try RequestWriter.check(sequence.writer, of: "writer")
        option("seq", "\(sequence.writer):\(sequence.number)")
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
    /// `FREQ`: all that is known about how often each of 1 to 16,384 ids is sampled.
    ///
    /// - Parameter batch: draws a batch, for ``Frequency/expected``.
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
