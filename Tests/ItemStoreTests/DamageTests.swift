import Foundation
import Logging
import PackedStrings
import SamplingFrequency
import SystemSupport
import TestSupport
import Testing

@testable import ItemStore

/// Damaged images of a directory. Opening one is a named error, or the store gives the very same answers, also after
/// more writes and another start. A crash or a hang fails the whole run, and the last printed case repeats it.
@Suite struct DamageTests {
    @Test(arguments: [false, true])
    func aDamagedDirectoryIsAnErrorOrGivesTheSameAnswers(checkpointing: Bool) throws {
        var generator = SeededGenerator()
        let image = try DirectoryImage(checkpointing: checkpointing)
        let whole = try #require(try image.outcome(of: image.data, image.head).states, "the image does not open")
        #expect(whole.count == 2)
        var refusedCount = 0
        let count = TestScale.isFull ? 5_000 : 60
        for trial in 0..<count {
            let kind = Damage.allCases[trial % Damage.allCases.count]
            var bytes = image.data
            let place = kind.apply(to: &bytes, older: image.olderData, &generator)
            let name = "trial \(trial), \(kind) \(place)"
            if TestScale.isFull { print(name) }
            switch try image.outcome(of: bytes, image.head) {
            case .refused(let error):
                refusedCount += 1
                #expect([.corrupt, .unknownSchema, .internalError].contains(error.code), "\(name): \(error)")
                #expect(error.message.contains(image.directory.path), "\(name): \(error)")
            case .opened(let states):
                for (got, expected) in zip(states, whole) { #expect(got == expected, "\(name)") }
            case .failedLater(let state, let error):
                #expect(state == whole[0], "\(name)")
                Issue.record("\(name): it opened, and a later write or start failed: \(error)")
            }
        }
        // Most damage is noticed; the rest is in free pages and unused bytes.
        #expect(refusedCount > count / 3)
    }
}

/// A kind of damage to the bytes of `data.mdb`.
private enum Damage: CaseIterable {
    case flippedBit, flippedHeaderBit, flippedMetaBit, keyCount, flippedKey, zeroedPage, randomPage, copiedPage
    case exchangedPages, truncated, truncatedToPages, olderPage, randomBytes, zeroedSector

    private static let pageByteCount = 4096

    /// Returns the place of the damage.
    func apply(to bytes: inout [UInt8], older: [UInt8], _ generator: inout SeededGenerator) -> String {
        let size = Self.pageByteCount
        let page = Int.random(in: 0..<bytes.count / size, using: &generator)
        let other = Int.random(in: 0..<bytes.count / size, using: &generator)
        let start = page * size
        func flip(_ offset: Int, _ generator: inout SeededGenerator) -> String {
            let bit = UInt8.random(in: 0..<8, using: &generator)
            bytes[offset] ^= 1 << bit
            return "bit \(bit) of byte \(offset)"
        }
        switch self {
        case .flippedBit: return flip(Int.random(in: 0..<bytes.count, using: &generator), &generator)
        case .flippedHeaderBit: return flip(start + Int.random(in: 0..<40, using: &generator), &generator)
        case .flippedMetaBit:
            return flip(page % 2 * size + Int.random(in: 0..<152, using: &generator), &generator)
        case .keyCount: return flip(start + 12 + Int.random(in: 0..<2, using: &generator), &generator)
        case .flippedKey:
            // The first node in the page, which has a key after its header of eight bytes.
            let upper = Int(bytes[start + 14]) | Int(bytes[start + 15]) << 8
            return flip(min(start + upper + 8 + Int.random(in: 0..<9, using: &generator), bytes.count - 1), &generator)
        case .zeroedPage: bytes.replaceSubrange(start..<start + size, with: repeatElement(0, count: size))
        case .randomPage:
            for index in start..<start + size { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
        case .copiedPage:
            bytes.replaceSubrange(start..<start + size, with: Array(bytes[other * size..<other * size + size]))
        case .exchangedPages:
            for index in 0..<size { bytes.swapAt(start + index, other * size + index) }
        case .truncated: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
        case .truncatedToPages: bytes.removeLast((page + 1) * size)
        case .olderPage:
            guard start + size <= older.count else { return "none" }
            bytes.replaceSubrange(start..<start + size, with: older[start..<start + size])
        case .randomBytes:
            let first = Int.random(in: 0..<bytes.count - 16, using: &generator)
            for index in first..<first + 16 { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
            return "at \(first)"
        case .zeroedSector:
            let first = start + Int.random(in: 0..<8, using: &generator) * 512
            bytes.replaceSubrange(first..<first + 512, with: repeatElement(0, count: 512))
            return "at \(first)"
        }
        return "page \(page), other page \(other)"
    }
}

/// A directory with records of every kind, as bytes that are written again for each trial.
private final class DirectoryImage {
    let directory: TemporaryDirectory
    let data: [UInt8]
    /// The data file some writes earlier.
    let olderData: [UInt8]
    let head: [UInt8]

    enum Outcome {
        case refused(StoreError)
        /// The state after the start, and after more writes and another start.
        case opened([[String]])
        case failedLater([String], StoreError)

        var states: [[String]]? {
            if case .opened(let states) = self { states } else { nil }
        }
    }

    init(checkpointing: Bool) throws {
        directory = try TemporaryDirectory()
        let store = try Self.open(directory.path)
        _ = try store.apply(Self.creations + Self.writes(of: 0..<400))
        store.close(checkpointing: true)
        withExtendedLifetime(consume store) {}
        olderData = try Self.bytes(directory.path + "/data.mdb")
        let again = try Self.open(directory.path)
        _ = try again.apply(Self.writes(of: 150..<500) + [.drop(name: "dropped")])
        again.close(checkpointing: checkpointing)
        withExtendedLifetime(consume again) {}
        data = try Self.bytes(directory.path + "/data.mdb")
        head = try Self.bytes(directory.path + "/HEAD")
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    static func open(_ path: String) throws(StoreError) -> ItemStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var limits = StoreLimits()
        // No checkpoint begins while the state is read.
        limits.idleCheckpointMilliseconds = 60_000
        return try ItemStore.open(StoreConfiguration(directory: path, limits: limits), logger: logger)
    }

    private static let creations: [Write] = [
        .create(name: "narrow", CollectionConfiguration(dimension: 8, halfLife: 100, recentCount: 600)),
        .create(name: "wide", CollectionConfiguration(dimension: 1_100)),
        .create(
            name: "sketch",
            CollectionConfiguration(dimension: 2, sketch: SketchLayout(bucketCount: 256, hashCount: 2, seed: 7))
        ),
        .create(name: "dropped", CollectionConfiguration(dimension: 8)),
    ]

    private static func writes(of numbers: Range<Int>) -> [Write] {
        numbers.flatMap { number -> [Write] in
            let id = Array("id-\(number)".utf8)
            let vector = (0..<8).map { Float(number * 8 + $0) }
            let text = String(repeating: "x", count: number % 100 == 0 ? number * 40 : 0)
            let json = Array("{\"n\":\"\(text)\(number)\"}".utf8)
            var writes: [Write] = [
                .put(collection: "narrow", id: id, vector: vector, features: json),
                .put(collection: "sketch", id: id, vector: [1, Float(number)], features: nil),
                .put(collection: "dropped", id: id, vector: vector, features: nil),
                .observe(
                    collection: number % 3 == 0 ? "sketch" : "narrow",
                    step: nil,
                    sequence: ProducerSequence(producer: "w\(number % 40)", number: Int64(number)),
                    ids: PackedStrings([id, Array("other-\(number % 7)".utf8)])
                ),
            ]
            if number % 25 == 0 {
                writes.append(
                    .put(collection: "wide", id: id, vector: (0..<1_100).map { Float($0 + number) }, features: nil)
                )
            }
            if number % 9 == 0 { writes.append(.delete(collection: "narrow", ids: PackedStrings([id]))) }
            return writes
        }
    }

    /// Writes the image, opens it, writes to it, and opens it again.
    func outcome(of data: [UInt8], _ head: [UInt8]) throws -> Outcome {
        try? FileManager.default.removeItem(atPath: directory.path + "/lock.mdb")
        try Data(data).write(to: URL(fileURLWithPath: directory.path + "/data.mdb"))
        try Data(head).write(to: URL(fileURLWithPath: directory.path + "/HEAD"))
        let first: [String]
        do throws(StoreError) {
            let store = try Self.open(directory.path)
            first = Self.state(of: store)
            store.close(checkpointing: false)
        } catch {
            return .refused(error)
        }
        do {
            let store = try Self.open(directory.path)
            for outcome in try store.apply(Self.writes(of: 480..<520)) {
                if case .failed(let error) = outcome, error.code != .noCollection { throw error }
            }
            store.close(checkpointing: true)
            withExtendedLifetime(consume store) {}
            let again = try Self.open(directory.path)
            defer { again.close(checkpointing: false) }
            return .opened([first, Self.state(of: again)])
        } catch let error as StoreError {
            return .failedLater(first, error)
        }
    }

    /// Everything that a client can ask for, as text.
    private static func state(of store: ItemStore) -> [String] {
        store.collections().flatMap { name, collection -> [String] in
            let statistics = StatisticsState(collection)
            var lines = ["\(name) \(collection.number) \(collection.configuration) \(statistics.totals)"]
            lines.append("\(statistics.recentPosition) \(statistics.recent) \(collection.producers.list.entries)")
            lines.append("\(statistics.buckets)")
            for row in 0..<collection.owner.rowCount {
                let (chunk, index) = collection.place(of: row)
                let dimension = collection.configuration.dimension
                let vector = UnsafeBufferPointer(start: chunk.pointee.vectors + index * dimension, count: dimension)
                let flags = chunk.pointee.flags[index]
                lines.append(
                    "\(row) \(Array(IdentifierSlot.bytes(chunk.pointee.identifiers + index))) \(flags) "
                        + "\(chunk.pointee.reuses[index].generation) \(statistics.records[Int(row)]) "
                        + "\(flags.contains(.hasVector) ? Array(vector) : []) "
                        + "\(chunk.pointee.features[index].map { Array($0.bytes) } ?? [])"
                )
            }
            return lines
        }
    }
}
