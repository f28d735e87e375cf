/// The sketch: exact without collisions. With collisions, counts are never too low.
import SamplingFrequency
import TestSupport
import Testing

@Suite struct FrequencySketchTests {
    private func hash(_ id: String, _ layout: SketchLayout) -> UInt64 {
        Array(id.utf8).withUnsafeBytes { layout.hash($0) }
    }

    /// Hashes of `count` ids that have no bucket in common.
    private func separateHashes(_ count: Int, _ layout: SketchLayout) -> [UInt64] {
        var taken: Set<Int> = []
        var hashes: [UInt64] = []
        var number = 0
        while hashes.count < count {
            let hash = hash("id-\(number)", layout)
            number += 1
            let buckets = (0..<layout.hashCount).map { layout.bucket(of: hash, $0) }
            if taken.isDisjoint(with: buckets) {
                hashes.append(hash)
                taken.formUnion(buckets)
            }
        }
        return hashes
    }

    // MARK: Layout

    /// Stored sketches depend on these numbers, so they must never change.
    @Test func placesNeverChange() {
        let layout = SketchLayout(bucketCount: 1_000, hashCount: 4, seed: 5_647)
        #expect(hash("libc6", layout) == 0x4a8e_2589_414b_3fcb)
        #expect((0..<4).map { layout.bucket(of: hash("libc6", layout), $0) } == [94, 1_615, 2_114, 3_062])
        #expect((0..<4).map { layout.bucket(of: hash("", layout), $0) } == [189, 1_218, 2_504, 3_826])
        let other = SketchLayout(bucketCount: 1_000, hashCount: 4, seed: 5_648)
        #expect((0..<4).map { other.bucket(of: hash("libc6", other), $0) } == [86, 1_150, 2_687, 3_719])
    }

    @Test func layoutsThatCanBe() {
        #expect(SketchLayout.isPossible(bucketCount: 1, hashCount: 1))
        #expect(SketchLayout.isPossible(bucketCount: 1 << 29, hashCount: 8))
        #expect(!SketchLayout.isPossible(bucketCount: 1 << 29 + 1, hashCount: 8))
        #expect(!SketchLayout.isPossible(bucketCount: .max, hashCount: 2))
        #expect(!SketchLayout.isPossible(bucketCount: 0, hashCount: 1))
        #expect(!SketchLayout.isPossible(bucketCount: 1, hashCount: 0))
        #expect(!SketchLayout.isPossible(bucketCount: 1, hashCount: 9))
        #expect(SketchLayout(bucketCount: 33, hashCount: 1, seed: 0).pageCount == 2)
        #expect(SketchLayout(bucketCount: 8, hashCount: 8, seed: 0).pageCount == 2)
    }

    /// Each hash has its own array and spreads ids evenly over it. Its place for an id says nothing about that of
    /// another hash.
    @Test func hashesSpreadAndAreIndependent() {
        let layout = SketchLayout(bucketCount: 10, hashCount: 2, seed: 1)
        var pairs: [Int: Int] = [:]
        for number in 0..<20_000 {
            let hash = hash("\(number)", layout)
            let (first, second) = (layout.bucket(of: hash, 0), layout.bucket(of: hash, 1))
            #expect((0..<10).contains(first) && (10..<20).contains(second))
            pairs[first * 10 + second - 10, default: 0] += 1
        }
        // 200 are expected of each pair. Chi-square of 99 degrees of freedom exceeds 160 once in 10,000 seeds.
        let chiSquare = (0..<100).reduce(0) { sum, pair in
            let difference = Double(pairs[pair, default: 0]) - 200
            return sum + difference * difference / 200
        }
        #expect(chiSquare < 160, "chi-square \(chiSquare)")
    }

    // MARK: Estimates

    @Test(arguments: [1, 2, 8])
    func goldenSequences(hashCount: Int) {
        let layout = SketchLayout(bucketCount: 1 << 20, hashCount: hashCount, seed: 7)
        let (one, two) = (hash("one", layout), hash("two", layout))
        var sketch = FrequencySketch(layout: layout, alpha: 0.5)
        #expect(sketch.record(of: one) == .unseen)
        sketch.observe(one, Hit(step: 1))
        #expect(sketch.record(of: one) == Statistics(lastStep: 1, gap: 0, count: 1, gapCount: 0))
        sketch.observe(one, Hit(step: 3))
        sketch.observe(two, Hit(step: 3))
        sketch.observe(one, Hit(step: 4))
        // Gaps 2 and 1, the second one with the weight 1/2.
        #expect(sketch.record(of: one) == Statistics(lastStep: 4, gap: 1.5, count: 3, gapCount: 2))
        #expect(sketch.record(of: two) == Statistics(lastStep: 3, gap: 0, count: 1, gapCount: 0))
        let totals = FrequencyTotals(firstStep: 1, lastStep: 4, count: 4, estimator: sketch.estimator)
        #expect(estimate(sketch.record(of: one), totals: totals, liveItems: 0).p == 1 / 1.5)
        #expect(estimate(sketch.record(of: two), totals: totals, liveItems: 0).state == .once)
        #expect(estimate(sketch.record(of: hash("three", layout)), totals: totals, liveItems: 0).state == .unseen)
    }

    /// Two ids in the only bucket. If one of them occurs twice in a step, or both occur once, that is not a gap of 0.
    @Test func oncePerBucketAndStep() {
        let layout = SketchLayout(bucketCount: 1, hashCount: 1, seed: 0)
        let (one, two) = (hash("one", layout), hash("two", layout))
        var sketch = FrequencySketch(layout: layout, alpha: 0.5)
        for id in [one, two, one] { sketch.observe(id, Hit(step: 10)) }
        #expect(sketch.record(of: one) == Statistics(lastStep: 10, gap: 0, count: 3, gapCount: 0))
        for id in [two, two, one] { sketch.observe(id, Hit(step: 14)) }
        #expect(sketch.record(of: one) == Statistics(lastStep: 14, gap: 4, count: 6, gapCount: 1))
        // Late steps divide a gap, as with exact records.
        sketch.observe(one, Hit(step: 12))
        #expect(sketch.record(of: two) == Statistics(lastStep: 14, gap: 2, count: 7, gapCount: 2))
    }

    @Test func combinationHasTheLeastErrorOfTheBuckets() {
        let old = Statistics(lastStep: 9, gap: 4, count: 7, gapCount: 3)
        let busy = Statistics(lastStep: 12, gap: 2, count: 30, gapCount: 20)
        let single = Statistics(lastStep: 11, gap: 0, count: 1, gapCount: 0)
        func combined(_ records: [Statistics]) -> Statistics {
            records.dropFirst().reduce(into: records[0]) { $0.narrow(by: $1, .none) }
        }
        for (records, expected) in [
            ([old, busy], old),
            ([old, busy, single], Statistics(lastStep: 9, gap: 0, count: 1, gapCount: 0)),
            ([old, .unseen, busy], .unseen),
            ([single, single], single),
        ] {
            #expect(combined(records) == expected)
            #expect(combined(records.reversed()) == expected)
        }
    }

    /// Compares with exact records of the same stream. No id has a count or a last step below the true one. If an id
    /// has a bucket of its own, both are exact. The counts of one hash's buckets sum to the number of observations.
    @Test(arguments: [1, 2, 4, 8])
    func errorsMakeIDsOnlyMoreFrequent(hashCount: Int) {
        var generator = SeededGenerator(seed: TestScale.seed(or: 31))
        let layout = SketchLayout(bucketCount: 64, hashCount: hashCount, seed: generator.next())
        var sketch = FrequencySketch(layout: layout, alpha: 0.05)
        var exact = Tracker(alpha: 0.05)
        let hashes = (0..<200).map { hash("id-\($0)", layout) }
        for step: Int64 in 1...2_000 {
            let ids = (0..<8).map { _ in
                min(Int.random(in: 0..<200, using: &generator), Int.random(in: 0..<200, using: &generator))
            }
            exact.observe(ids, at: step)
            for id in ids { sketch.observe(hashes[id], Hit(step: step)) }
        }
        var idsInBucket: [Int: Int] = [:]
        for hash in hashes {
            for index in 0..<hashCount { idsInBucket[layout.bucket(of: hash, index), default: 0] += 1 }
        }
        var exactCount = 0
        for id in exact.records.keys {
            let record = exact.closed(id)!
            let read = sketch.record(of: hashes[id])
            #expect(read.count >= record.count)
            #expect(read.lastStep >= record.lastStep)
            if (0..<hashCount).contains(where: { idsInBucket[layout.bucket(of: hashes[id], $0)] == 1 }) {
                exactCount += 1
                #expect(read.count == record.count && read.lastStep == record.lastStep)
                // A shared bucket may have a longer gap because of its noise. The longest gap is read, so it is never
                // too short here.
                #expect(read.gap >= record.gap)
            }
        }
        #expect(exactCount > 0)
        for index in 0..<hashCount {
            let counts = sketch.buckets[index * 64..<(index + 1) * 64].reduce(0) { $0 + $1.count }
            #expect(counts == exact.totals.count)
        }
    }

    /// Periodic ids have no noise. So a collision can only shorten a gap, and the gap that is read is never too long.
    @Test func collisionsOnlyShortenGaps() {
        for hashCount in [1, 2, 4] {
            let layout = SketchLayout(bucketCount: 40, hashCount: hashCount, seed: 3)
            var sketch = FrequencySketch(layout: layout, alpha: 0.1)
            let hashes = (0..<60).map { hash("id-\($0)", layout) }
            for step: Int64 in 1...3_000 {
                for (id, hash) in hashes.enumerated() where step % Int64(id + 5) == 0 {
                    sketch.observe(hash, Hit(step: step))
                }
            }
            var isShorter = false
            for (id, hash) in hashes.enumerated() {
                let read = sketch.record(of: hash)
                #expect(read.gap <= Double(id + 5) + 1e-9, "id \(id), \(hashCount) hashes: gap \(read.gap)")
                isShorter = isShorter || read.gap < Double(id + 5) - 1
            }
            #expect(isShorter, "nothing collided, so the test has not tested it")
        }
    }

    /// With equally many buckets for each hash, more hashes leave fewer ids without a bucket of their own.
    @Test func moreHashesAreBetter() {
        var errors: [Double] = []
        for hashCount in [1, 2, 4, 8] {
            let layout = SketchLayout(bucketCount: 300, hashCount: hashCount, seed: 5)
            var sketch = FrequencySketch(layout: layout, alpha: 0.1)
            let hashes = (0..<200).map { hash("id-\($0)", layout) }
            for step: Int64 in 1...50 {
                for hash in hashes + hashes { sketch.observe(hash, Hit(step: step)) }
            }
            errors.append(hashes.reduce(0) { $0 + sketch.record(of: $1).count / 100 - 1 })
        }
        #expect(errors == errors.sorted(by: >), "\(errors)")
        #expect(errors[0] > 50 && errors[3] < 5, "\(errors)")
    }

    // MARK: Estimates from a trainer

    @Test func setGapIsReadAndContinued() {
        let layout = SketchLayout(bucketCount: 1 << 20, hashCount: 4, seed: 2)
        let one = hash("one", layout)
        var sketch = FrequencySketch(layout: layout, alpha: 0.25)
        sketch.set(one, Hit(step: 100), gap: 8, count: 40)
        #expect(sketch.record(of: one) == Statistics(lastStep: 100, gap: 8, count: 40, gapCount: 4))
        // 0.75·8 + 0.25·4.
        sketch.observe(one, Hit(step: 104))
        #expect(sketch.record(of: one) == Statistics(lastStep: 104, gap: 7, count: 41, gapCount: 5))
        sketch.set(one, Hit(step: 90), gap: nil, count: nil)
        #expect(sketch.record(of: one) == Statistics(lastStep: 104, gap: 7, count: 41, gapCount: 5))
    }

    @Test func setCountKeepsTheCountsOfOtherIDs() {
        let layout = SketchLayout(bucketCount: 8, hashCount: 2, seed: 4)
        var sketch = FrequencySketch(layout: layout, alpha: 0.5)
        let hashes = (0..<20).map { hash("id-\($0)", layout) }
        for hash in hashes { for _ in 0..<5 { sketch.observe(hash, Hit(step: 1)) } }
        for count in [1_000, 3, 0, 0.1, 1e-30, 0x1p53, 7] {
            let before = sketch.buckets
            let old = sketch.record(of: hashes[0]).count
            sketch.set(hashes[0], Hit(step: 1), gap: nil, count: count)
            #expect(sketch.record(of: hashes[0]).count == count)
            let own = Set((0..<2).map { layout.bucket(of: hashes[0], $0) })
            for bucket in sketch.buckets.indices {
                let change = own.contains(bucket) ? count - old : 0
                let expected = max(0, before[bucket].count + change)
                #expect(abs(sketch.buckets[bucket].count - expected) <= 1e-9 * max(1, abs(change)))
            }
        }
    }

    @Test func sameSeedSameSketch() {
        func sketch(seed: UInt64) -> FrequencySketch {
            let layout = SketchLayout(bucketCount: 50, hashCount: 3, seed: seed)
            var sketch = FrequencySketch(layout: layout, alpha: 0.1)
            for step: Int64 in 1...100 { sketch.observe(hash("id-\(step % 17)", layout), Hit(step: step)) }
            return sketch
        }
        #expect(sketch(seed: 1).buckets == sketch(seed: 1).buckets)
        #expect(sketch(seed: 1).buckets != sketch(seed: 2).buckets)
    }

    @Test func idsWithoutCollisionsAreExact() {
        let layout = SketchLayout(bucketCount: 5_000, hashCount: 2, seed: 6)
        var generator = SeededGenerator(seed: TestScale.seed(or: 41))
        let hashes = separateHashes(100, layout)
        var sketch = FrequencySketch(layout: layout, alpha: 0.02)
        var exact = Tracker(alpha: 0.02)
        for _ in 0..<3_000 {
            let id = Int.random(in: 0..<100, using: &generator)
            let step = Int64.random(in: 0..<2_000, using: &generator)
            exact.observe([id], at: step)
            sketch.observe(hashes[id], Hit(step: step))
        }
        for id in exact.records.keys { #expect(sketch.record(of: hashes[id]) == exact.closed(id)) }
    }
}
