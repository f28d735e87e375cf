import LMDB

/// A group in the `journal` table: the bytes of its operations, cut into frames.
///
///     frame:  crc32c 4 | up to 4,076 bytes of the group
///     group:  byte count UInt32 | operation ...
///
/// Groups are numbered from 1, and the frames of a group from 0. Numbers are never reused, so frames are appended in
/// key order.
enum JournalGroup {
    static let frameBytesMax = Tables.valueBytesMax - Checksum.byteCount
    static let headerByteCount = 4

    /// Appends a group to the journal. `bytes` begins with room for the header, which this fills.
    static func append(
        _ bytes: UnsafeMutableRawBufferPointer,
        group: UInt64,
        to table: Table<JournalKey>,
        _ transaction: borrowing WriteTransaction
    ) throws {
        bytes.storeBytes(of: UInt32(bytes.count - headerByteCount).littleEndian, as: UInt32.self)
        var rest = UnsafeRawBufferPointer(bytes)
        var frame: UInt32 = 0
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(frameBytesMax))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(frameBytesMax))
            let key = JournalKey(group: group, frame: frame)
            try transaction.append(reserving: part.count + Checksum.byteCount, for: key, in: table) { value in
                UnsafeMutableRawBufferPointer(rebasing: value[Checksum.byteCount...]).copyMemory(from: part)
                Checksum.seal(value, key: key)
            }
            frame += 1
        }
    }

    /// Calls `body` with the number and the bytes of each group after `last`, in order. The bytes begin with the
    /// header. Throws `corrupt` if a frame or a group is missing.
    static func forEach<Access>(
        in table: Table<JournalKey>,
        after last: UInt64,
        _ transaction: borrowing Transaction<Access>,
        _ body: (UInt64, UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) throws {
        var assembler = JournalAssembler()
        var lastGroup = last
        try transaction.forEach(in: table, from: JournalKey(group: last + 1, frame: 0)) { key, value in
            guard let group = try assembler.add(value, key: key) else { return true }
            guard key.group == lastGroup + 1 else {
                throw Checksum.corrupt(key, "journal", "expected group \(lastGroup + 1)")
            }
            try group.withTypedBytes { bytes throws(StoreError) in try body(key.group, bytes) }
            lastGroup = key.group
            return true
        }
        try assembler.finish()
    }
}

/// Joins the frames of a journal to groups.
struct JournalAssembler {
    private var bytes: [UInt8] = []
    private var group: UInt64 = 0
    private var nextFrame: UInt32 = 0

    /// Takes the next frame. If it is the last one of its group, returns the bytes of the group, beginning with the
    /// header.
    mutating func add(
        _ value: UnsafeRawBufferPointer,
        key: JournalKey
    ) throws(StoreError) -> [UInt8]? {
        let part = try Checksum.verified(value, key: key, table: "journal")
        if nextFrame == 0 {
            group = key.group
            bytes.removeAll(keepingCapacity: true)
        }
        guard key.group == group, key.frame == nextFrame else {
            throw Checksum.corrupt(key, "journal", "expected frame \(nextFrame) of group \(group)")
        }
        bytes.append(contentsOf: part)
        nextFrame += 1
        guard bytes.count >= JournalGroup.headerByteCount else {
            throw Checksum.corrupt(key, "journal", "it is too short")
        }
        let expected = bytes.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }
        let got = bytes.count - JournalGroup.headerByteCount
        guard got <= expected else {
            throw Checksum.corrupt(key, "journal", "got \(got) bytes of a group of \(expected)")
        }
        guard got == expected else { return nil }
        nextFrame = 0
        return bytes
    }

    /// Fails if the journal ends within a group.
    func finish() throws(StoreError) {
        guard nextFrame == 0 else {
            throw Checksum.corrupt(JournalKey(group: group, frame: nextFrame), "journal", "the frame is missing")
        }
    }
}
