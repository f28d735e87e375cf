import LMDB
import SystemSupport

/// The last number of each producer (`seq=producer:n`).
typealias Producers = NamedRecords<ProducerEntry>

/// A producer with its last number.
package struct ProducerEntry: Sendable, Equatable {
    /// The name of the producer. If it belongs to a named run, that name and a slash come first.
    package let name: String
    package let number: Int64
    /// The step of the write with this number, as the trainer sent it; −1 if it named none.
    package let step: Int64

    init(name: String, number: Int64, step: Int64) {
        self.name = name
        self.number = number
        self.step = step
    }

    init(_ sequence: ProducerSequence, at step: RequestedStep) {
        name = step.run.isEmpty ? sequence.producer : "\(step.run)/\(sequence.producer)"
        number = sequence.number
        self.step = step.step ?? -1
    }

    /// The name of the run; nil if it has none.
    var run: Substring? {
        name.firstIndex(of: "/").map { name[..<$0] }
    }
}

/// Layout: number 8 | name length + 128 1 | name | step 8. Schema version 2 had no steps. Its lengths are below 128.
extension ProducerEntry: NamedEntry {
    static let kind = "producer"
    /// The longest name: those of a run and of a producer, with a slash.
    static let nameBytesMax = 127
    private static let hasStep: UInt8 = 128

    var encodedByteCount: Int { 17 + name.utf8.count }

    func encode(into bytes: inout ByteWriter) {
        bytes.integer(number)
        bytes.integer(UInt8(name.utf8.count) | Self.hasStep)
        for byte in name.utf8 { bytes.integer(byte) }
        bytes.integer(step)
    }

    static func decode(_ bytes: inout ByteReader) -> ProducerEntry? {
        guard let number = bytes.integer(Int64.self), let length = bytes.integer(UInt8.self),
            let name = bytes.bytes(Int(length & ~hasStep)).flatMap({ String(validating: $0, as: UTF8.self) })
        else { return nil }
        if length < hasStep { return ProducerEntry(name: name, number: number, step: -1) }
        return bytes.integer(Int64.self).map { ProducerEntry(name: name, number: number, step: $0) }
    }

    /// About how many bytes of memory a producer takes. Its entries in an array and a dictionary count twice, because
    /// judged numbers are in a second copy. A name of more than 15 bytes is extra.
    static func byteCount(of name: String) -> Int {
        2 * 128 + (name.utf8.count > 15 ? allocatedByteCount(33 + name.utf8.count) : 0)
    }
}

extension NamedList<ProducerEntry> {
    /// The place of the producer whose run has the earliest last step on the clock, or is not known any more. Leaves
    /// out producers without a run and those of the run `spared`; nil if no other is there.
    func placeOfOldestRun(_ runs: NamedList<TrainerRun>, sparing spared: String) -> Int? {
        let entries = entries
        func lastStep(_ place: Int) -> Int64? {
            guard let run = entries[place].run, run != spared else { return nil }
            return runs[String(run)]?.clockStep ?? -1
        }
        let candidates = entries.indices.compactMap { place in lastStep(place).map { (step: $0, place: place) } }
        return candidates.min { $0 < $1 }?.place
    }
}
