// The selection, compared with a full sort.

import TestSupport
import Testing

@testable import VectorIndex

@Suite struct TopKSelectionTests {
    private struct Candidate: Hashable {
        let score: Double
        let id: [UInt8]
    }

    private func select(_ candidates: [Candidate], k: Int) -> [Candidate] {
        var selection = TopKSelection(k: k)
        // Data that a caller stores by place.
        var kept: [Int] = []
        for (row, candidate) in candidates.enumerated() {
            let before = selection.threshold
            let place = candidate.id.withUnsafeBytes { selection.insert(score: candidate.score, id: $0) }
            guard let place else { continue }
            #expect(candidate.score >= before)
            if place == kept.count { kept.append(row) } else { kept[place] = row }
        }
        return selection.sorted().map { entry in
            let id = selection.withID(at: entry.place) { Array($0) }
            #expect(candidates[kept[entry.place]].id == id)
            return Candidate(score: entry.score, id: id)
        }
    }

    @Test func agreesWithSortingEverything() {
        let seed = UInt64.random(in: 0...999_999)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for round in 0..<300 {
            // Few scores, and short ids with few letters. So ties are common, and many ids are prefixes of others.
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

    @Test func placesAreKeptAndReused() {
        var selection = TopKSelection(k: 2, scoreMin: 0.25)
        func insert(_ score: Double, _ id: String) -> Int? {
            var id = id
            return id.withUTF8 { selection.insert(score: score, id: UnsafeRawBufferPointer($0)) }
        }
        #expect(selection.threshold == 0.25)
        #expect(insert(0.2, "a") == nil)
        #expect(insert(1, "b") == 0)
        #expect(selection.threshold == 0.25)
        #expect(insert(.nan, "a") == nil)
        #expect(insert(2, String(repeating: "x", count: 255)) == 1)
        #expect(selection.threshold == 1)
        #expect(insert(0.5, "a") == nil)
        #expect(insert(1, "c") == nil)
        #expect(insert(1, "a") == 0)
        #expect(insert(3, "d") == 0)
        #expect(selection.count == 2)
        #expect(selection.sorted().map(\.place) == [0, 1])
        #expect(selection.withID(at: 1) { $0.count } == 255)
    }

    @Test func zeroAndNegativeZeroTie() {
        let a = Candidate(score: -0.0, id: [1])
        let b = Candidate(score: 0.0, id: [2])
        #expect(select([b, a], k: 2) == [a, b])
        #expect(select([b, a], k: 1) == [a])
    }
}
