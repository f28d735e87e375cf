/// Errors name the attempt and the table. A full map, disk or file has another error than a damaged file.
import Foundation
import LMDB
import Testing

@Suite struct ErrorTests {
    @Test func errorNamesAttemptAndTable() throws {
        try withTemporaryEnvironment(mapSize: 64 << 10) { environment in
            let table = try environment.openPairs(named: "journal")
            let error = #expect(throws: LMDBError.self) {
                try environment.write { transaction in
                    for minor: UInt32 in 0... {
                        try transaction.put(String(repeating: "x", count: 1_000), for: PairKey(1, minor), in: table)
                    }
                }
            }
            #expect(
                "\(try #require(error))"
                    == "could not put into table 'journal': MDB_MAP_FULL: Environment mapsize limit reached"
            )
            #expect(error?.isFull == true)
            #expect(error?.isFatal == false)
            // Nothing was changed, and there is room for a smaller write.
            try environment.write { transaction in
                #expect(try transaction.entryCount(in: table) == 0)
                try transaction.put("x", for: PairKey(1, 1), in: table)
            }
            #expect(try environment.dump(table) == ["1.1=x"])
        }
    }

    @Test func errorThatTheBodySwallowsFailsTheCommit() throws {
        try withTemporaryEnvironment(mapSize: 64 << 10) { environment in
            let table = try environment.openPairs()
            let error = #expect(throws: LMDBError.self) {
                try environment.write { transaction in
                    try transaction.put("x", for: PairKey(1, 1), in: table)
                    try? transaction.put(String(repeating: "x", count: 1 << 20), for: PairKey(1, 2), in: table)
                }
            }
            #expect(error?.attempt == .commit)
            #expect(try environment.dump(table) == [])
        }
    }

    /// After an error that is not certainly harmless it is unknown what was stored.
    @Test func everyErrorButKnownHarmlessOnesIsFatal() {
        // MDB_KEYEXIST (of an append), MDB_CORRUPTED, MDB_PANIC, MDB_BAD_TXN and MDB_BAD_DBI.
        for code in [EIO, EROFS, ESTALE, ENODEV, EINVAL, 9_999, -30_799, -30_796, -30_795, -30_782, -30_780] {
            #expect(LMDBError(code: code, attempt: .commit).isFatal, "\(code)")
        }
        // MDB_NOTFOUND, MDB_MAP_FULL, MDB_READERS_FULL and MDB_TXN_FULL.
        for code in [ENOSPC, EDQUOT, EFBIG, EBUSY, ENOMEM, -30_798, -30_792, -30_790, -30_788] {
            #expect(!LMDBError(code: code, attempt: .commit).isFatal, "\(code)")
        }
        #expect(!LMDBError(code: EACCES, attempt: .begin).isFatal)
        #expect(LMDBError(code: EACCES, attempt: .commit).isFatal)
        #expect(LMDBError(code: ENOSPC, attempt: .commit, isEnvironmentLost: true).isFatal)
        #expect(!LMDBError(code: ENOSPC, attempt: .commit, isEnvironmentLost: true).isFull)
    }

    @Test func missingTable() throws {
        try withTemporaryEnvironment { environment in
            let error = #expect(throws: LMDBError.self) {
                try environment.read { transaction in _ = try Table<PairKey>(named: "rows", in: transaction) }
            }
            #expect(error?.description.hasPrefix("could not open table 'rows': MDB_NOTFOUND") == true)
        }
    }

    @Test func missingDirectory() throws {
        let error = #expect(throws: LMDBError.self) {
            try Environment(directory: "/nowhere/at/all", options: .init(mapSize: 1 << 20))
        }
        #expect(error == LMDBError(code: ENOENT, attempt: .open))
        #expect(error?.description == "could not open the environment: No such file or directory")
    }

    @Test func fileThatIsNotADatabase() throws {
        try withTemporaryDirectory { directory in
            try Data(repeating: 0x2A, count: 16_384).write(to: URL(filePath: directory + "/data.mdb"))
            let error = #expect(throws: LMDBError.self) {
                try Environment(directory: directory, options: .init(mapSize: 1 << 20))
            }
            #expect(error?.isFatal == true)
            #expect(error?.description.hasPrefix("could not open the environment: MDB_INVALID") == true)
        }
    }

    @Test func keyOfAnotherSizeIsCorruption() throws {
        struct WideKey: TableKey {
            static let byteCount = 8
            var number: UInt64

            init(decoding bytes: UnsafeRawBufferPointer) { number = bytes.loadBigEndian() }
            func encode(into bytes: UnsafeMutableRawBufferPointer) { bytes.storeBigEndian(number) }
        }
        try withTemporaryDirectory { directory in
            do {
                let environment = try Environment(directory: directory, options: .init(mapSize: 1 << 20))
                let table = try environment.openPairs(named: "rows")
                try environment.write { transaction in try transaction.put("x", for: PairKey(1, 1), in: table) }
            }
            let environment = try Environment(directory: directory, options: .init(mapSize: 1 << 20))
            let error = #expect(throws: LMDBError.self) {
                try environment.read { transaction in
                    _ = try transaction.first(in: try Table<WideKey>(named: "rows", in: transaction))
                }
            }
            #expect(error?.isFatal == true)
            #expect(error?.table == "rows")
        }
    }

    @Test func onlyOneTransactionOpensTablesAtATime() throws {
        try withTemporaryEnvironment { environment in
            try environment.read { old in
                let table = try environment.openPairs()
                // `old` began before the table was opened, so LMDB would mix up the numbers.
                #expect(throws: LMDBError(code: EBUSY, attempt: .openTable, table: "pairs")) {
                    _ = try Table<PairKey>(named: "pairs", in: old)
                }
                try environment.write { transaction in
                    _ = try Table<PairKey>(named: "other", in: transaction)
                    #expect(throws: LMDBError(code: EBUSY, attempt: .openTable, table: "third")) {
                        try environment.read { inner in _ = try Table<PairKey>(named: "third", in: inner) }
                    }
                    // A table that is already open is available to every transaction.
                    let again = try environment.read { inner in try Table<PairKey>(named: "pairs", in: inner) }
                    #expect(again.name == table.name)
                }
            }
        }
    }

    /// The limit on file sizes applies to the whole process, so the test runs in a child process.
    @Test func fileSizeLimitIsFullAndNotFatal() async {
        await #expect(processExitsWith: .success) {
            try withTemporaryEnvironment(mapSize: 64 << 20) { environment in
                let table = try environment.openPairs()
                try environment.write { transaction in try transaction.put("kept", for: PairKey(0, 0), in: table) }
                signal(SIGXFSZ, SIG_IGN)
                // The limit is not a whole number of pages: the system writes a part, and LMDB reports EIO.
                var limit = rlimit(rlim_cur: (1 << 20) + 1_000, rlim_max: .max)
                #if canImport(Darwin)
                setrlimit(RLIMIT_FSIZE, &limit)
                #else
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                #endif
                let large = String(repeating: "x", count: 2 << 20)
                var caught: LMDBError?
                do {
                    try environment.write { transaction in try transaction.put(large, for: PairKey(1, 1), in: table) }
                } catch let error as LMDBError {
                    caught = error
                }
                precondition(caught?.attempt == .commit, "\(String(describing: caught))")
                precondition(caught?.isFull == true, "\(String(describing: caught))")
                let kept = try environment.dump(table)
                precondition(kept == ["0.0=kept"])
                limit.rlim_cur = .max
                #if canImport(Darwin)
                setrlimit(RLIMIT_FSIZE, &limit)
                #else
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                #endif
                try environment.write { transaction in try transaction.put(large, for: PairKey(1, 1), in: table) }
                let count = try environment.dump(table).count
                precondition(count == 2)
            }
        }
    }
}
