// The selection against a full sort.

import TestSupport
import Testing

@testable import VectorIndex

@Suite struct TopKSelectionTests {
    private struct Candidate: Hashable {
        let score: Double
        let id: [UInt8]
    }

    private func select(_ candidates: [Candidate], k: Int) -> [Candidate] {
        var selection = TopKSelection<Int>(k: k)
        for (row, candidate) in candidates.enumerated() {
            let before = selection.threshold
            let entered = candidate.id.withUnsafeBytes {
                selection.insert(score: candidate.score, id: $0, payload: row)
            }
            #expect(!entered || candidate.score >= before)
        }
        let sorted = selection.sorted()
        for element in sorted { #expect(candidates[element.payload].id == element.id) }
        return sorted.map { Candidate(score: $0.score, id: $0.id) }
    }

    @Test func agreesWithSortingEverything() {
        let seed = UInt64.random(in: 0...999_999)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for round in 0..<300 {
            // Few scores and short ids over few letters: ties everywhere, many ids that begin another.
            let count = Int.random(in: 0...200, using: &random)
            let scores = Int.random(in: 1...20, using: &random)
            var all = Set<Candidate>()
            for _ in 0..<count {
                let letters: [UInt8] = [0, 97, 98, 255]
                let id = (0..<Int.random(in: 1...5, using: &random)).map { _ in letters.randomElement(using: &random)! }
                all.insert(Candidate(score: Double(Int.random(in: 0..<scores, using: &random)) / 3, id: id))
            }
            let expected = all.sorted {
                $0.score != $1.score ? $0.score > $1.score : $0.id.lexicographicallyPrecedes($1.id)
            }
            for k in [0, 1, 2, 7, 100, 1_000] {
                let got = select(all.shuffled(using: &random), k: k)
                #expect(got == Array(expected.prefix(k)), "round \(round), k \(k), seed \(seed)")
            }
        }
    }

    @Test func payloadIsAskedOnlyOnEntry() {
        var selection = TopKSelection<Int>(k: 1)
        var asked = 0
        func payload() -> Int {
            asked += 1
            return asked
        }
        func insert(_ score: Double, _ id: String) -> Bool {
            var id = id
            return id.withUTF8 { selection.insert(score: score, id: UnsafeRawBufferPointer($0), payload: payload()) }
        }
        #expect(selection.threshold == -.infinity)
        #expect(insert(1, "b"))
        #expect(selection.threshold == 1)
        #expect(!insert(0.5, "a"))
        #expect(!insert(1, "c"))
        #expect(!insert(.nan, "a"))
        #expect(insert(1, "a"))
        #expect(asked == 2)
        #expect(selection.sorted().map(\.id) == [Array("a".utf8)])
    }

    @Test func zeroAndNegativeZeroTie() {
        let a = Candidate(score: -0.0, id: [1])
        let b = Candidate(score: 0.0, id: [2])
        #expect(select([b, a], k: 2) == [a, b])
        #expect(select([b, a], k: 1) == [a])
    }
}
