import LMDB

/// The version of each kind of record. When the bytes of a kind change, its version is raised, and `Migration.all` gets
/// an entry that converts old records.
enum FormatVersions {
    struct Kind {
        /// The number in the key. It is never reused.
        let code: UInt32
        let name: String
        let version: UInt32
    }

    static let kinds = [
        Kind(code: 1, name: "catalogue", version: 1),
        Kind(code: 2, name: "source positions", version: 1),
        Kind(code: 3, name: "operations", version: 3),
        Kind(code: 4, name: "rows", version: 1),
        Kind(code: 5, name: "features", version: 2),
        Kind(code: 6, name: "statistics pages", version: 2),
        Kind(code: 7, name: "recent observations", version: 1),
        Kind(code: 8, name: "producers", version: 2),
        Kind(code: 9, name: "totals", version: 2),
        Kind(code: 10, name: "runs", version: 1),
    ]

    static func write(_ tables: Tables, _ transaction: borrowing WriteTransaction) throws {
        for kind in kinds {
            try tables.putInteger(kind.version, for: MetaKey(.format, number: kind.code), transaction)
        }
    }

    /// Throws `unknownSchema` if a kind has another version, or if the directory has an unknown kind.
    static func check<Access>(_ tables: Tables, _ transaction: borrowing Transaction<Access>) throws {
        for kind in kinds {
            let key = MetaKey(.format, number: kind.code)
            let got = try tables.integer(UInt32.self, for: key, transaction)
            guard got == kind.version else {
                throw StoreError(
                    .unknownSchema,
                    "got version \(got.map(String.init) ?? "none") of \(kind.name) in the data directory, "
                        + "this version knows \(kind.version)"
                )
            }
        }
        try transaction.forEach(in: tables.meta, from: MetaKey(.format)) { key, _ in
            guard key.kind == MetaKey.Kind.format.rawValue else { return false }
            guard kinds.contains(where: { $0.code == key.number }) else {
                throw StoreError(.unknownSchema, "got records of an unknown kind, \(key.number), in the data directory")
            }
            return true
        }
    }
}

/// Converts a data directory from one schema version to the next.
///
/// A migration is one transaction, which also writes the new schema version. So a crash during a migration changes
/// nothing, and the next start repeats it.
struct Migration: Sendable {
    let from: UInt32
    let convert: @Sendable (Tables, borrowing WriteTransaction) throws -> Void

    /// All migrations, in order. Each leads to the version after `from`.
    static let all = [
        // Version 2 had no versions of kinds, no identity, no list of dropped collections, no source positions, no
        // runs, and no CREATE, DROP or SWAP in the journal. Its shorter records of statistics, producers and totals are
        // read as they are, and rewritten when they change.
        Migration(from: 2) { tables, transaction in
            try FormatVersions.write(tables, transaction)
            try tables.putIdentity(.random(), transaction)
            try noteDropped(of: tables.rows, tables, transaction)
            try noteDropped(of: tables.features, tables, transaction)
            try noteDropped(of: tables.frequency, tables, transaction)
        },
        // Version 3 had one record for the features of a row, which was never full. It is read as it is.
        Migration(from: 3) { tables, transaction in
            try FormatVersions.write(tables, transaction)
        },
    ]

    /// Records each collection that has records in the table, but is not in the catalogue.
    private static func noteDropped<Key: CollectionKey>(
        of table: Table<Key>,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws {
        var next: UInt32? = 0
        while let first = next {
            next = nil
            var found: UInt32?
            try transaction.forEach(in: table, from: Key.first(of: first)) { key, _ in
                found = key.collection
                return false
            }
            guard let found else { return }
            let isKnown = try transaction.withValue(of: MetaKey(.collection, number: found), in: tables.meta) {
                $0 != nil
            }
            if !isKnown {
                try tables.putInteger(UInt64(0), for: MetaKey(.dropped, number: found), transaction)
            }
            if found < .max { next = found + 1 }
        }
    }
}

extension Tables {
    static let schemaVersion: UInt32 = 4
    /// The versions that a read-only store, which can't migrate, can read: from the oldest that needs no conversion up
    /// to `schemaVersion`.
    private static let readableVersions: ClosedRange<UInt32> = 2...4

    /// Opens the tables for reading. Throws `unknownSchema`.
    static func openForReading(_ environment: Environment) throws -> Tables {
        try environment.read { transaction in
            let tables = try Tables(in: transaction)
            let version = try tables.integer(UInt32.self, for: MetaKey(.schema), transaction)
            guard let version, readableVersions.contains(version) else { throw unknownSchema(version) }
            if version == schemaVersion { try FormatVersions.check(tables, transaction) }
            return tables
        }
    }

    /// Makes the tables of a new directory.
    static func create(in environment: Environment) throws {
        try environment.write { transaction in
            let tables = try Tables(in: transaction)
            try tables.putInteger(schemaVersion, for: MetaKey(.schema), transaction)
            try FormatVersions.write(tables, transaction)
            try tables.putIdentity(.random(), transaction)
        }
    }

    /// Opens the tables, and migrates an old directory. Throws `unknownSchema`.
    static func openForWriting(_ environment: Environment) throws -> Tables {
        let (tables, found) = try environment.write { transaction in
            let tables = try Tables(in: transaction)
            return (tables, try tables.integer(UInt32.self, for: MetaKey(.schema), transaction))
        }
        var version = found
        for migration in Migration.all where version == migration.from {
            try environment.write { transaction in
                try migration.convert(tables, transaction)
                try tables.putInteger(migration.from + 1, for: MetaKey(.schema), transaction)
            }
            version = migration.from + 1
        }
        guard version == schemaVersion else { throw unknownSchema(version) }
        try environment.read { transaction in try FormatVersions.check(tables, transaction) }
        return tables
    }

    private static func unknownSchema(_ version: UInt32?) -> StoreError {
        let got = version.map { "\($0)" } ?? "none"
        return StoreError(
            .unknownSchema,
            "got schema version \(got) in the data directory, this version knows \(schemaVersion)"
        )
    }
}
