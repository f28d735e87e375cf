/// The check of a data file before LMDB reads it.
import Foundation
import LMDB
import TestSupport
import Testing

@Suite struct DataFileCheckTests {
    private static let keyByteCounts = ["pairs": PairKey.byteCounts, "other": PairKey.byteCounts]

    /// Two tables with branches, overflow pages and freed pages.
    private static func fill(_ directory: String) throws {
        let environment = try Environment(directory: directory, options: .init(mapSize: 64 << 20))
        let pairs = try environment.openPairs()
        let other = try environment.openPairs(named: "other")
        for round: UInt32 in 0..<4 {
            try environment.write { transaction in
                for minor: UInt32 in 0..<600 {
                    let size = minor % 100 == 7 ? 9_000 : Int(minor % 90)
                    try transaction.put(String(repeating: "x", count: size), for: PairKey(1, minor), in: pairs)
                    try transaction.put("y", for: PairKey(2, minor * (round + 1)), in: other)
                }
            }
            try environment.write { transaction in
                _ = try transaction.deleteRange(
                    from: PairKey(1, round * 100),
                    while: { $0.minor < round * 100 + 150 },
                    limit: 1_000,
                    in: pairs
                )
            }
        }
    }

    private static func check(_ directory: String) throws(DataFileError) -> DataFileReport {
        try DataFile.check(path: directory + "/data.mdb", keyByteCounts: keyByteCounts)
    }

    @Test func aWholeFileHasAReport() throws {
        try withTemporaryDirectory { directory in
            do {
                let environment = try Environment(directory: directory, options: .init(mapSize: 64 << 20))
                withExtendedLifetime(environment) {}
                let report = try Self.check(directory)
                #expect(report.lastTransaction == 0)
                #expect(report.entryCounts == [:])
            }
            try Self.fill(directory)
            let report = try Self.check(directory)
            let environment = try Environment(directory: directory, options: .init(mapSize: 64 << 20))
            let counts = try environment.write { transaction in
                let pairs = try Table<PairKey>(named: "pairs", in: transaction)
                let other = try Table<PairKey>(named: "other", in: transaction)
                return [
                    "pairs": try transaction.entryCount(in: pairs), "other": try transaction.entryCount(in: other),
                ]
            }
            #expect(report.entryCounts == counts)
            #expect(Int(report.lastTransaction) == environment.statistics().lastTransaction)
            #expect(report.pageCount * report.pageByteCount == environment.statistics().usedByteCount)
            #expect(report.freePageCount > 0)
            #expect(report.strayPageCount == 0)
        }
    }

    /// Every bit of the number, type, bounds and offsets of a page matters, if the page is in use.
    @Test func everyFlippedBitOfAHeaderIsNoticed() throws {
        try withTemporaryDirectory { directory in
            try Self.fill(directory)
            let url = URL(fileURLWithPath: directory + "/data.mdb")
            let whole = try Data(contentsOf: url)
            let report = try Self.check(directory)
            let file = try FileHandle(forUpdating: url)
            var unnoticedPages: Set<Int> = []
            for page in 2..<report.pageCount {
                for offset in [0, 1, 7, 10, 11, 12, 13, 14, 15, 16, 17] {
                    for bit in 0..<8 {
                        let place = page * report.pageByteCount + offset
                        try file.seek(toOffset: UInt64(place))
                        try file.write(contentsOf: [whole[place] ^ 1 << UInt8(bit)])
                        do throws(DataFileError) {
                            #expect(try Self.check(directory) == report)
                            unnoticedPages.insert(page)
                        } catch {
                            #expect(error.description.hasPrefix("the data file '\(url.path)' is damaged: "))
                        }
                        try file.seek(toOffset: UInt64(place))
                        try file.write(contentsOf: [whole[place]])
                    }
                }
            }
            // Overflow pages after the first of a run have no header, and free pages have no meaning.
            #expect(unnoticedPages.count <= report.freePageCount + 2 * 6)
        }
    }

    @Test func aShorterFileIsNoticed() throws {
        try withTemporaryDirectory { directory in
            try Self.fill(directory)
            let url = URL(fileURLWithPath: directory + "/data.mdb")
            let whole = try Data(contentsOf: url)
            for byteCount in [0, 1, 16, 4_096, 8_191, 8_192, 20_000, whole.count / 2] {
                try whole.prefix(byteCount).write(to: url)
                #expect(throws: DataFileError.self) { _ = try Self.check(directory) }
            }
        }
    }

    @Test func aMissingFileAndADirectoryAreNamed() throws {
        try withTemporaryDirectory { directory in
            let missing = #expect(throws: DataFileError.self) { _ = try Self.check(directory) }
            #expect(missing?.reason == "it could not be opened: No such file or directory")
            try FileManager.default.createDirectory(
                atPath: directory + "/data.mdb",
                withIntermediateDirectories: false
            )
            let other = #expect(throws: DataFileError.self) { _ = try Self.check(directory) }
            #expect(other?.reason == "it is not a regular file")
        }
    }
}
