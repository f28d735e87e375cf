import LMDB

/// The runs of a collection.
typealias TrainerRuns = NamedRecords<TrainerRun>

/// A run of a trainer, from one start of the trainer to the next. Each run counts its steps as it likes. The offset
/// maps them to the clock of the collection.
package struct TrainerRun: Sendable, Equatable {
    /// Empty for the requests that name no run.
    package let name: String
    /// The step on the clock, less the step of the run.
    package internal(set) var offset: Int64
    /// The highest step of the run.
    package internal(set) var lastStep: Int64

    /// The highest step of the run, on the clock.
    package var clockStep: Int64 { lastStep + offset }
}

/// Layout: offset 8 | last step 8 | name length 1 | name.
extension TrainerRun: NamedEntry {
    static let kind = "run"
    static let nameBytesMax = 62

    var encodedByteCount: Int { 17 + name.utf8.count }

    /// Runs are few, and not counted.
    static func byteCount(of name: String) -> Int { 0 }

    func encode(into bytes: inout ByteWriter) {
        bytes.integer(offset)
        bytes.integer(lastStep)
        bytes.name(name)
    }

    static func decode(_ bytes: inout ByteReader) -> TrainerRun? {
        guard let offset = bytes.integer(Int64.self), let lastStep = bytes.integer(Int64.self),
            let name = bytes.name()
        else { return nil }
        return TrainerRun(name: name, offset: offset, lastStep: lastStep)
    }
}

extension NamedRecords<TrainerRun> {
    /// Sets the clock back: no run is ahead of this step.
    func moveBack(to step: Int64, group: UInt64) throws(StoreError) {
        for (place, run) in list.entries.enumerated() where run.clockStep > step {
            try set(
                TrainerRun(name: run.name, offset: run.offset, lastStep: step - run.offset),
                at: place,
                group: group
            )
        }
    }
}

extension NamedList<TrainerRun> {
    /// The place of a new run: after the others if there is room, otherwise that of the named run whose last step is
    /// the earliest on the clock.
    func placeOfNewRun(countMax: Int) -> Int {
        if count < countMax { return count }
        let entries = entries
        let named = entries.indices.filter { !entries[$0].name.isEmpty }
        return named.min { (entries[$0].clockStep, $0) < (entries[$1].clockStep, $1) } ?? 0
    }
}
