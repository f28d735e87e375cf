/// Shared by the tests: a directory that is removed when the test ends, and a key with two fields.
import LMDB
import TestSupport

/// Creates a temporary directory for `body`, and removes it afterwards.
func withTemporaryDirectory<R>(_ body: (String) throws -> R) throws -> R {
    let directory = try TemporaryDirectory()
    return try withExtendedLifetime(directory) { try body(directory.path) }
}

func withTemporaryEnvironment<R>(mapSize: Int = 64 << 20, _ body: (Environment) throws -> R) throws -> R {
    try withTemporaryDirectory { directory in
        try body(try Environment(directory: directory, options: .init(mapSize: mapSize)))
    }
}

/// Two fields of different width, so that the second is not aligned.
struct PairKey: TableKey, Hashable {
    var major: UInt16
    var minor: UInt32

    static let byteCount = 6

    init(_ major: UInt16, _ minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        major = bytes.loadBigEndian(at: 0)
        minor = bytes.loadBigEndian(at: 2)
    }

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(major, at: 0)
        bytes.storeBigEndian(minor, at: 2)
    }
}

extension Transaction where Access == WriteAccess {
    func put(_ text: String, for key: PairKey, in table: Table<PairKey>) throws(LMDBError) {
        var code: LMDBError?
        Array(text.utf8).withUnsafeBytes { bytes in
            do throws(LMDBError) {
                try put(bytes, for: key, in: table)
            } catch {
                code = error
            }
        }
        if let code { throw code }
    }

    func append(_ text: String, for key: PairKey, in table: Table<PairKey>) throws {
        try Array(text.utf8).withUnsafeBytes { bytes in try append(bytes, for: key, in: table) }
    }
}

extension Transaction {
    func text(of key: PairKey, in table: Table<PairKey>) throws -> String? {
        try withValue(of: key, in: table) { bytes in bytes.map { String(decoding: $0, as: UTF8.self) } }
    }

    /// The whole table as readable text.
    func dump(_ table: Table<PairKey>, from first: PairKey? = nil, limit: Int = .max) throws -> [String] {
        var lines: [String] = []
        try forEach(in: table, from: first) { key, bytes in
            lines.append("\(key.major).\(key.minor)=\(String(decoding: bytes, as: UTF8.self))")
            return lines.count < limit
        }
        return lines
    }
}

extension Environment {
    func dump(_ table: Table<PairKey>, from first: PairKey? = nil, limit: Int = .max) throws -> [String] {
        try read { transaction in try transaction.dump(table, from: first, limit: limit) }
    }

    func openPairs(named name: String = "pairs") throws -> Table<PairKey> {
        try write { transaction in try Table(named: name, in: transaction) }
    }
}
