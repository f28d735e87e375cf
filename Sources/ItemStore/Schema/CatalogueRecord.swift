import LMDB
import SamplingFrequency
import VectorIndex

/// A collection in the `meta` table; its number is in the key.
///
///     crc32c 4 | metric 1 | name length 1 | 0 2 | dimension 4 | alpha float64 8 | half-life float64 8, 0: none
///     | recent observations 8 | most ids 8, 0: no cap | buckets of a hash 8, 0: no sketch | hashes 8 | seed 8 | name
///
/// The places of a sketch's ids follow from the three numbers (`SketchLayout`).
struct CatalogueRecord {
    private static let headerByteCount = 68

    let name: String
    let configuration: CollectionConfiguration

    init(name: String, configuration: CollectionConfiguration) {
        self.name = name
        self.configuration = configuration
    }

    func write(number: UInt32, in table: Table<MetaKey>, _ transaction: borrowing WriteTransaction) throws {
        let key = MetaKey(.collection, number: number)
        let name = Array(name.utf8)
        try transaction.put(reserving: Self.headerByteCount + name.count, for: key, in: table) { value in
            var writer = ByteWriter(value)
            writer.integer(UInt32(0))
            writer.integer(Self.code(of: configuration.metric))
            writer.integer(UInt8(name.count))
            writer.integer(UInt16(0))
            writer.integer(UInt32(configuration.dimension))
            writer.double(configuration.alpha)
            writer.double(configuration.halfLife ?? 0)
            writer.integer(Int64(configuration.recentCount))
            writer.integer(Int64(configuration.idCountMax ?? 0))
            writer.integer(Int64(configuration.sketch?.bucketCount ?? 0))
            writer.integer(Int64(configuration.sketch?.hashCount ?? 0))
            writer.integer(configuration.sketch?.seed ?? 0)
            name.withUnsafeBytes { writer.bytes($0) }
            Checksum.seal(value, key: key)
        }
    }

    init(_ value: UnsafeRawBufferPointer, key: MetaKey) throws(StoreError) {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
        guard let code = reader.integer(UInt8.self), let nameByteCount = reader.integer(UInt8.self),
            reader.integer(UInt16.self) != nil, let dimension = reader.integer(UInt32.self),
            let alpha = reader.double(), let halfLife = reader.double(), let recentCount = reader.integer(Int64.self),
            let idCountMax = reader.integer(Int64.self), let bucketCount = reader.integer(Int64.self),
            let hashCount = reader.integer(Int64.self), let seed = reader.integer(UInt64.self),
            let name = reader.bytes(Int(nameByteCount))
        else { throw Checksum.corrupt(key, "meta", "it is too short") }
        guard let metric = Metric.allCases.first(where: { Self.code(of: $0) == code }) else {
            throw Checksum.corrupt(key, "meta", "there is no metric \(code)")
        }
        var sketch: SketchLayout?
        if bucketCount != 0 {
            guard SketchLayout.isPossible(bucketCount: Int(bucketCount), hashCount: Int(hashCount)) else {
                throw Checksum.corrupt(key, "meta", "got \(hashCount) hashes of \(bucketCount) buckets")
            }
            sketch = SketchLayout(bucketCount: Int(bucketCount), hashCount: Int(hashCount), seed: seed)
        }
        self.name = String(decoding: name, as: UTF8.self)
        configuration = CollectionConfiguration(
            dimension: Int(dimension),
            metric: metric,
            alpha: alpha,
            halfLife: halfLife > 0 ? halfLife : nil,
            recentCount: Int(recentCount),
            idCountMax: idCountMax > 0 ? Int(idCountMax) : nil,
            sketch: sketch
        )
    }

    private static func code(of metric: Metric) -> UInt8 {
        switch metric {
        case .dot: 0
        case .cosine: 1
        case .l2: 2
        }
    }
}
