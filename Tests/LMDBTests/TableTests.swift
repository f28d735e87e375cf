import LMDB
/// Tables: keys in order, every way to write, iteration, deletion of ranges, and random operations compared with a
/// dictionary.
import TestSupport
import Testing

@Suite struct TableTests {
    @Test func keysSortLikeTheirFields() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            let keys = [
                PairKey(0, 0), PairKey(0, 1), PairKey(0, 255), PairKey(0, 256), PairKey(0, .max), PairKey(1, 0),
                PairKey(255, 7), PairKey(256, 0), PairKey(.max, .max),
            ]
            #expect(keys.shuffled().sorted() == keys)
            try environment.write { transaction in
                for key in keys.shuffled() { try transaction.put("", for: key, in: table) }
            }
            try environment.read { transaction in
                var found: [PairKey] = []
                try transaction.forEach(in: table) { key, _ in
                    found.append(key)
                    return true
                }
                #expect(found == keys)
                #expect(try transaction.first(in: table) == keys.first)
                #expect(try transaction.entryCount(in: table) == keys.count)
            }
        }
    }

    @Test func emptyTable() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                #expect(try transaction.first(in: table) == nil)
                #expect(try transaction.entryCount(in: table) == 0)
                #expect(try transaction.dump(table) == [])
                #expect(try transaction.text(of: PairKey(1, 1), in: table) == nil)
                #expect(try transaction.delete(PairKey(1, 1), from: table) == false)
                let count = try transaction.deleteRange(
                    from: PairKey(0, 0),
                    while: { _ in true },
                    limit: 10,
                    in: table
                )
                #expect(count == 0)
            }
        }
    }

    @Test func putReplacesAndDeleteSaysWhetherItWasThere() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                try transaction.put("first", for: PairKey(1, 1), in: table)
                try transaction.put("a longer second", for: PairKey(1, 1), in: table)
                #expect(try transaction.dump(table) == ["1.1=a longer second"])
                try transaction.put("", for: PairKey(1, 1), in: table)
                #expect(try transaction.text(of: PairKey(1, 1), in: table) == "")
                #expect(try transaction.delete(PairKey(1, 1), from: table))
                #expect(try !transaction.delete(PairKey(1, 1), from: table))
            }
        }
    }

    @Test func reservedRoomIsWrittenInPlace() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                for count in [0, 1, 4_080, 100_000] {
                    try transaction.put(reserving: count, for: PairKey(1, 1), in: table) { room in
                        #expect(room.count == count)
                        for index in room.indices { room[index] = UInt8(truncatingIfNeeded: index) }
                    }
                    try transaction.withValue(of: PairKey(1, 1), in: table) { bytes in
                        #expect(bytes.map(Array.init) == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
                    }
                }
                try transaction.append(reserving: 2, for: PairKey(2, 1), in: table) { room in
                    room.copyBytes(from: Array("ok".utf8))
                }
                #expect(try transaction.text(of: PairKey(2, 1), in: table) == "ok")
            }
        }
    }

    @Test func appendNeedsAHigherKey() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                try transaction.append("a", for: PairKey(1, 1), in: table)
                try transaction.append("b", for: PairKey(1, 2), in: table)
            }
            for key in [PairKey(1, 2), PairKey(1, 0)] {
                let error = #expect(throws: LMDBError.self) {
                    try environment.write { transaction in try transaction.append("c", for: key, in: table) }
                }
                #expect(error?.attempt == .append)
            }
            #expect(try environment.dump(table) == ["1.1=a", "1.2=b"])
        }
    }

    @Test func forEachStartsAndStopsWhereAsked() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                for minor: UInt32 in [10, 20, 30] { try transaction.put("x", for: PairKey(1, minor), in: table) }
            }
            #expect(try environment.dump(table, from: PairKey(1, 20)) == ["1.20=x", "1.30=x"])
            #expect(try environment.dump(table, from: PairKey(1, 21)) == ["1.30=x"])
            #expect(try environment.dump(table, from: PairKey(1, 31)) == [])
            #expect(try environment.dump(table, from: PairKey(0, 0), limit: 2) == ["1.10=x", "1.20=x"])
        }
    }

    @Test func forEachThrowsTheErrorOfItsBody() throws {
        struct Stop: Error {}
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in try transaction.put("x", for: PairKey(1, 1), in: table) }
            #expect(throws: Stop.self) {
                try environment.read { transaction in try transaction.forEach(in: table) { _, _ in throw Stop() } }
            }
        }
    }

    @Test func deleteRangeIsBounded() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            // Enough entries for many pages, so that deletions empty whole pages.
            try environment.write { transaction in
                for major: UInt16 in 1...3 {
                    for minor: UInt32 in 0..<1_000 {
                        try transaction.append("some text to fill a page", for: PairKey(major, minor), in: table)
                    }
                }
            }
            func cut(from first: PairKey, limit: Int) throws -> Int {
                try environment.write { transaction in
                    try transaction.deleteRange(from: first, while: { $0.major == 2 }, limit: limit, in: table)
                }
            }
            #expect(try cut(from: PairKey(2, 0), limit: 0) == 0)
            #expect(try cut(from: PairKey(2, 10), limit: 400) == 400)
            #expect(try environment.read { transaction in try transaction.entryCount(in: table) } == 2_600)
            #expect(try cut(from: PairKey(2, 0), limit: 1_000) == 600)
            #expect(try cut(from: PairKey(2, 0), limit: 1_000) == 0)
            try environment.read { transaction in
                var keys: [PairKey] = []
                try transaction.forEach(in: table) { key, _ in
                    keys.append(key)
                    return true
                }
                let kept = [UInt16(1), 3].flatMap { major in (0..<1_000).map { PairKey(major, $0) } }
                #expect(keys == kept)
            }
        }
    }

    @Test func entriesMayBeDeletedWhileIterating() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            try environment.write { transaction in
                for minor: UInt32 in 0..<2_000 { try transaction.append("x", for: PairKey(1, minor), in: table) }
                var visited: [UInt32] = []
                try transaction.forEach(in: table) { key, _ in
                    visited.append(key.minor)
                    if key.minor % 3 != 0 { try transaction.delete(key, from: table) }
                    return true
                }
                #expect(visited == Array(0..<2_000))
                #expect(try transaction.entryCount(in: table) == 667)
            }
        }
    }

    @Test func tablesAreApart() throws {
        try withTemporaryEnvironment { environment in
            let one = try environment.openPairs(named: "one")
            let two = try environment.openPairs(named: "two")
            try environment.write { transaction in
                try transaction.put("1", for: PairKey(1, 1), in: one)
                try transaction.put("2", for: PairKey(1, 1), in: two)
            }
            #expect(try environment.dump(one) == ["1.1=1"])
            #expect(try environment.dump(two) == ["1.1=2"])
        }
    }

    @Test func tableIsUsableInTheTransactionThatOpensIt() throws {
        try withTemporaryEnvironment { environment in
            let table = try environment.write { transaction in
                let table = try Table<PairKey>(named: "pairs", in: transaction)
                let again = try Table<PairKey>(named: "pairs", in: transaction)
                try transaction.put("x", for: PairKey(1, 1), in: table)
                #expect(try transaction.dump(again) == ["1.1=x"])
                return table
            }
            #expect(try environment.dump(table) == ["1.1=x"])
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomRunsMatchADictionary(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        try withTemporaryEnvironment { environment in
            let table = try environment.openPairs()
            var model: [PairKey: String] = [:]
            for _ in 0..<40 {
                let isAborted = Int.random(in: 0..<4, using: &generator) == 0
                var next = model
                try? environment.write { transaction in
                    for _ in 0..<50 {
                        let key = PairKey(.random(in: 0..<4, using: &generator), .random(in: 0..<64, using: &generator))
                        switch Int.random(in: 0..<8, using: &generator) {
                        case 0:
                            #expect(try transaction.delete(key, from: table) == (next.removeValue(forKey: key) != nil))
                        case 1:
                            let limit = Int.random(in: 0..<20, using: &generator)
                            let doomed = next.keys.filter { $0 >= key && $0.major == key.major }.sorted().prefix(limit)
                            let count = try transaction.deleteRange(
                                from: key,
                                while: { $0.major == key.major },
                                limit: limit,
                                in: table
                            )
                            #expect(count == doomed.count)
                            for key in doomed { next[key] = nil }
                        default:
                            let length = Int.random(in: 0..<300, using: &generator)
                            let text = String(repeating: Character("\(length % 10)"), count: length)
                            try transaction.put(text, for: key, in: table)
                            next[key] = text
                        }
                    }
                    if isAborted { throw LMDBError(code: 0, attempt: .commit) }
                }
                if !isAborted { model = next }
                let expected = model.sorted { $0.key < $1.key }.map { "\($0.key.major).\($0.key.minor)=\($0.value)" }
                #expect(try environment.dump(table) == expected)
            }
        }
    }
}
