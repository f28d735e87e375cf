import LMDB
import SystemSupport

/// The position in a stream of changes outside the store: the name of the stream, and the number of the last change
/// that was applied. It is committed in the same group as the changes. So after a crash, a store that follows an
/// external log continues at the right place.
///
/// The records are in the `meta` table, numbered in the order in which the names first came:
///
///     crc32c 4 | sequence 8 | name length 1 | name
package struct SourcePosition: Sendable, Equatable {
    /// 1 to 255 bytes.
    package let source: String
    package let sequence: UInt64

    package init(source: String, sequence: UInt64) {
        self.source = source
        self.sequence = sequence
    }

    func write(number: UInt32, in table: Table<MetaKey>, _ transaction: borrowing WriteTransaction) throws {
        let size = Checksum.byteCount + 9 + source.utf8.count
        try transaction.putRecord(size, for: MetaKey(.source, number: number), in: table) { bytes in
            bytes.integer(sequence)
            bytes.name(source)
        }
    }

    /// Throws `corrupt`.
    init(_ value: UnsafeRawBufferPointer, key: MetaKey) throws(StoreError) {
        var bytes = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
        guard let sequence = bytes.integer(UInt64.self), let source = bytes.name() else {
            throw Checksum.corrupt(key, "meta", "it is too short")
        }
        self.init(source: source, sequence: sequence)
    }
}

/// The position of each source. Any thread may read it. It changes only on the store's thread, after the commit.
final class SourcePositions: @unchecked Sendable {
    private let lock = ReadWriteLock()
    private var positions: [SourcePosition] = []

    deinit {
        lock.destroy()
    }

    /// In the order in which the sources first came.
    var all: [SourcePosition] {
        lock.withReadLock { positions }
    }

    func sequence(of source: String) -> UInt64? {
        lock.withReadLock { positions.first { $0.source == source }?.sequence }
    }

    func note(_ position: SourcePosition) {
        lock.withWriteLock {
            if let index = positions.firstIndex(where: { $0.source == position.source }) {
                positions[index] = position
            } else {
                positions.append(position)
            }
        }
    }
}
