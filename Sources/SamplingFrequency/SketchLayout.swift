/// Where the ids of a sketch have their buckets: all that has to be known to read a stored one.
///
/// There are H buckets for each of m hashes, one array after another, numbered through: bucket b of hash i is number
/// i·H + b. Ids are hashed once, by SipHash-2-4 under a key, and the m places of an id follow from these 64 bits and m
/// seeds. So whoever has the 64 bits (a journal, say) needs no id. Two ids with equal bits have all buckets in common:
/// among a million ids there are two such with a probability of 2^-25, and nobody finds them without the key.
///
/// Key and seeds follow from one number, so that number, H and m are the whole layout. None of this may change: stored
/// buckets would belong to other ids.
package struct SketchLayout: Sendable, Equatable {
    /// H: how many buckets each hash has.
    package let bucketCount: Int
    /// m: how many hashes there are.
    package let hashCount: Int
    /// What key and seeds follow from. It is a secret where ids come from strangers.
    package let seed: UInt64

    private let idHash: SipHash
    private let seeds: SIMD8<UInt64>

    package static let hashCountMax = 8
    /// Of all hashes together.
    package static let totalBucketCountMax = 1 << 32
    /// Buckets are stored and marked as changed by runs of so many.
    package static let bucketsInRun = 32

    package init(bucketCount: Int, hashCount: Int, seed: UInt64) {
        precondition(Self.isPossible(bucketCount: bucketCount, hashCount: hashCount), "got an impossible layout")
        self.bucketCount = bucketCount
        self.hashCount = hashCount
        self.seed = seed
        var sequence = SplitMix64(seed: seed)
        idHash = SipHash(key: (sequence.next(), sequence.next()))
        var seeds = SIMD8<UInt64>()
        for index in 0..<Self.hashCountMax { seeds[index] = sequence.next() }
        self.seeds = seeds
    }

    package static func isPossible(bucketCount: Int, hashCount: Int) -> Bool {
        (1...hashCountMax).contains(hashCount) && bucketCount > 0 && bucketCount <= totalBucketCountMax / hashCount
    }

    /// The buckets of all hashes together.
    package var totalBucketCount: Int { bucketCount * hashCount }

    /// The last run may have buckets that belong to no hash.
    package var runCount: Int { (totalBucketCount + Self.bucketsInRun - 1) / Self.bucketsInRun }

    package func hash(_ id: UnsafeRawBufferPointer) -> UInt64 {
        idHash.hash(id)
    }

    /// The number of an id's bucket of hash `index`, from the hash of the id.
    package func bucket(of hash: UInt64, _ index: Int) -> Int {
        // The high half of a product with H is evenly spread over 0 ..< H, without a division.
        let place = SplitMix64.mix(hash ^ seeds[index]).multipliedFullWidth(by: UInt64(bucketCount)).high
        return index * bucketCount + Int(place)
    }
}
