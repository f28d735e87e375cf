/// Commit and abort, snapshots, and the checks that stop wrong use of a transaction.
import Foundation
import LMDB
import TestSupport
import Testing

private struct Refusal: Error {}

@Suite struct TransactionTests {
    @Test func committedDataIsThereAfterReopening() throws {
        try withTemporaryDirectory { directory in
            do {
                let environment = try Environment(directory: directory, options: .init(mapSize: 1 << 20))
                let table = try environment.openPairs()
                try environment.write { transaction in try transaction.put("kept", for: PairKey(1, 1), in: table) }
            }
            let environment = try Environment(directory: directory, options: .init(mapSize: 1 << 20))
            let text = try environment.read { transaction in
                let table = try Table<PairKey>(named: "pairs", in: transaction)
                return try transaction.text(of: PairKey(1, 1), in: table)
            }
            #expect(text == "kept")
        }
    }

    @Test func failingBodyAborts() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in try transaction.put("old", for: PairKey(1, 1), in: table) }
            #expect(throws: Refusal.self) {
                try environment.write { transaction in
                    try transaction.put("new", for: PairKey(1, 1), in: table)
                    try transaction.put("more", for: PairKey(1, 2), in: table)
                    throw Refusal()
                }
            }
            #expect(try environment.dump(table) == ["1.1=old"])
            // The abort released the lock.
            try environment.write { transaction in try transaction.put("next", for: PairKey(1, 1), in: table) }
            #expect(try environment.dump(table) == ["1.1=next"])
        }
    }

    @Test func readerKeepsItsSnapshot() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in try transaction.put("before", for: PairKey(1, 1), in: table) }
            try environment.read { old in
                // Works on the same thread, because a reader belongs to its transaction.
                try environment.write { transaction in
                    try transaction.put("after", for: PairKey(1, 1), in: table)
                    #expect(try transaction.text(of: PairKey(1, 1), in: table) == "after")
                    #expect(try old.text(of: PairKey(1, 1), in: table) == "before")
                }
                #expect(try old.text(of: PairKey(1, 1), in: table) == "before")
                let new = try environment.read { transaction in try transaction.text(of: PairKey(1, 1), in: table) }
                #expect(new == "after")
            }
        }
    }

    @Test func writersTakeTurns() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            let errors = ErrorList()
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                do {
                    for _ in 0..<25 {
                        try environment.write { transaction in
                            let count = Int(try transaction.text(of: PairKey(0, 0), in: table) ?? "0")!
                            try transaction.put(String(count + 1), for: PairKey(0, 0), in: table)
                        }
                    }
                } catch {
                    errors.append(error)
                }
            }
            #expect(errors.descriptions == [])
            #expect(try environment.read { transaction in try transaction.text(of: PairKey(0, 0), in: table) } == "100")
        }
    }

    @Test func twoEnvironments() throws {
        try withTemporaryEnvironment { first in
            try withTemporaryEnvironment { second in
                let firstTable = try first.openPairs()
                let secondTable = try second.openPairs()
                try first.write { outer in
                    try second.write { inner in
                        try outer.put("first", for: PairKey(1, 1), in: firstTable)
                        try inner.put("second", for: PairKey(1, 1), in: secondTable)
                    }
                }
                #expect(try first.dump(firstTable) == ["1.1=first"])
                #expect(try second.dump(secondTable) == ["1.1=second"])
            }
        }
    }

    @Test func readOnlyEnvironment() throws {
        try withTemporaryDirectory { directory in
            let readOnly = Environment.Options(mapSize: 1 << 20, isReadOnly: true)
            #expect(throws: LMDBError(code: ENOENT, attempt: .open)) {
                try Environment(directory: directory, options: readOnly)
            }
            do {
                let environment = try Environment(directory: directory, options: .init(mapSize: 1 << 20))
                let table = try environment.openPairs()
                try environment.write { transaction in try transaction.put("text", for: PairKey(1, 1), in: table) }
            }
            let environment = try Environment(directory: directory, options: readOnly)
            // A table that a reader opened stays open after it.
            let table = try environment.read { transaction in try Table<PairKey>(named: "pairs", in: transaction) }
            #expect(try environment.dump(table) == ["1.1=text"])
            #expect(throws: LMDBError(code: EACCES, attempt: .begin)) { try environment.write { _ in } }
        }
    }

    @Test func statisticsGrow() throws {
        try withTemporaryEnvironment(mapSize: 8 << 20) { environment in
            let table = try environment.openPairs()
            let before = environment.statistics()
            try environment.write { transaction in
                try transaction.put(String(repeating: "x", count: 1 << 20), for: PairKey(1, 1), in: table)
            }
            let after = environment.statistics()
            #expect(after.mapSize == 8 << 20)
            #expect(after.usedByteCount - before.usedByteCount >= 1 << 20)
            #expect(after.usedByteCount % after.pageSize == 0)
            #expect(after.lastTransaction == before.lastTransaction + 1)
        }
    }

    // Wrong use ends the program, so it runs in a child process.

    @Test func writeWithinWriteStops() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try withTemporaryEnvironment { environment in
                try environment.write { _ in try environment.write { _ in } }
            }
        }
        #expect(result.says("write within write"))
    }

    @Test func anotherThreadStops() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try withTemporaryEnvironment { environment in
                let table = try environment.openPairs()
                try environment.write { transaction in
                    // The compiler does not let a transaction be sent elsewhere. A pointer to it avoids that check.
                    withUnsafePointer(to: transaction) { pointer in
                        nonisolated(unsafe) let pointer = pointer
                        let other = Background { _ = try? pointer.pointee.entryCount(in: table) }
                        try? other.wait()
                    }
                }
            }
        }
        #expect(result.says("thread that did not begin it"))
    }

    @Test func tableOfAnAbortedTransactionStops() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try withTemporaryEnvironment { environment in
                var leaked: Table<PairKey>?
                try? environment.write { transaction in
                    leaked = try Table(named: "pairs", in: transaction)
                    throw Refusal()
                }
                try environment.write { transaction in _ = try transaction.entryCount(in: leaked!) }
            }
        }
        #expect(result.says("opening transaction was aborted"))
    }

    @Test func tableOfAnotherEnvironmentStops() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try withTemporaryEnvironment { first in
                try withTemporaryEnvironment { second in
                    let table = try first.openPairs()
                    _ = try second.openPairs()
                    try second.read { transaction in _ = try transaction.entryCount(in: table) }
                }
            }
        }
        #expect(result.says("table of another environment"))
    }
}

extension ExitTest.Result? {
    fileprivate func says(_ message: String) -> Bool {
        guard let self else { return false }
        return String(decoding: self.standardErrorContent, as: UTF8.self).contains(message)
    }
}

/// Errors from several threads.
private final class ErrorList: @unchecked Sendable {
    private let lock = NSLock()
    private var errors: [String] = []

    var descriptions: [String] {
        lock.withLock { errors }
    }

    func append(_ error: any Error) {
        lock.withLock { errors.append("\(error)") }
    }
}
