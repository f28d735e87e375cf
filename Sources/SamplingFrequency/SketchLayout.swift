/// Maps ids to the buckets of a sketch. A stored sketch can be read with nothing but its layout.
///
/// Each of m hashes has an array of H buckets. The arrays follow each other: bucket b of hash i has the number i·H + b.
/// An id is hashed once, by SipHash-2-4 under a key, and its m places follow from these 64 bits and m seeds. So a
/// journal that has the 64 bits does not need the id. Two ids with the same 64 bits share all buckets. A million ids
/// contain such a pair with probability 2^-25, and nobody can find one without the key.
///
/// The key and the seeds follow from one number, so that number, H and m are the whole layout. None of this may ever
/// change, because stored buckets would then belong to other ids.
package struct SketchLayout: Sendable, Equatable {
    /// H: the number of buckets of each hash.
    package let bucketCount: Int
    /// m: the number of hashes.
    package let hashCount: Int
    /// The number from which the key and the seeds follow. It must stay secret if untrusted clients choose the ids.
    package let seed: UInt64

    private let idHash: SipHash
    private let seeds: SIMD8<UInt64>

    package static let hashCountMax = 8
    /// The limit for the buckets of all hashes together.
    package static let totalBucketCountMax = 1 << 32
    /// Buckets are stored, and marked as changed, in pages of this size.
    package static let bucketsInPage = 32

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

    /// The number of buckets of all hashes together.
    package var totalBucketCount: Int { bucketCount * hashCount }

    /// The number of pages. The last one may have buckets that belong to no hash.
    package var pageCount: Int { (totalBucketCount + Self.bucketsInPage - 1) / Self.bucketsInPage }

    package func hash(_ id: UnsafeRawBufferPointer) -> UInt64 {
        idHash.hash(id)
    }

    /// The number of the bucket that an id with these 64 bits has for hash `index`.
    package func bucket(of hash: UInt64, _ index: Int) -> Int {
        // The high half of the product with H is evenly spread over 0 ..< H, and needs no division.
        let place = SplitMix64.mix(hash ^ seeds[index]).multipliedFullWidth(by: UInt64(bucketCount)).high
        return index * bucketCount + Int(place)
    }
}
