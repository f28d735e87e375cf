import SystemSupport

/// An id of 1 to 255 bytes, stored in 16 bytes: a length byte, then the id if it has at most 15 bytes, or else its
/// address.
///
/// Most ids are short. A lookup compares the id of every row that it visits, and a short id saves it a second cache
/// miss.
///
///     length <= 15:  | length | id .............. |
///     length >= 16:  | length | unused 7 | address 8 |
struct IdentifierSlot {
    private static let inlineLengthMax = 15

    /// Both are 0 in an empty slot, so fresh memory consists of empty slots.
    private var words: (UInt64, UInt64) = (0, 0)

    static func length(_ slot: UnsafePointer<IdentifierSlot>) -> Int {
        Int(UnsafeRawPointer(slot).load(as: UInt8.self))
    }

    /// The bytes of the id. They are valid while the chunk is locked and the slot is not cleared.
    @inline(__always)
    static func bytes(_ slot: UnsafePointer<IdentifierSlot>) -> UnsafeRawBufferPointer {
        let raw = UnsafeRawPointer(slot)
        let length = Int(raw.load(as: UInt8.self))
        if length <= inlineLengthMax { return UnsafeRawBufferPointer(start: raw + 1, count: length) }
        return UnsafeRawBufferPointer(start: raw.load(fromByteOffset: 8, as: UnsafeRawPointer.self), count: length)
    }

    @inline(__always)
    static func equals(_ slot: UnsafePointer<IdentifierSlot>, _ id: UnsafeRawBufferPointer) -> Bool {
        let own = bytes(slot)
        return own.count == id.count && (id.count == 0 || memcmp(own.baseAddress!, id.baseAddress!, id.count) == 0)
    }

    /// Stores `id` in an empty slot.
    static func set(_ slot: UnsafeMutablePointer<IdentifierSlot>, _ id: UnsafeRawBufferPointer) {
        precondition((1...255).contains(id.count) && length(slot) == 0, "an id of \(id.count) bytes, or a slot in use")
        let raw = UnsafeMutableRawPointer(slot)
        raw.storeBytes(of: UInt8(id.count), as: UInt8.self)
        if id.count <= inlineLengthMax {
            memcpy(raw + 1, id.baseAddress!, id.count)
        } else {
            let copy = UnsafeMutableRawPointer.allocate(byteCount: id.count, alignment: 1)
            memcpy(copy, id.baseAddress!, id.count)
            raw.storeBytes(of: copy, toByteOffset: 8, as: UnsafeMutableRawPointer.self)
        }
    }

    /// Empties the slot, and frees a long id.
    static func clear(_ slot: UnsafeMutablePointer<IdentifierSlot>) {
        let raw = UnsafeMutableRawPointer(slot)
        if length(slot) > inlineLengthMax {
            raw.load(fromByteOffset: 8, as: UnsafeMutableRawPointer.self).deallocate()
        }
        slot.pointee = IdentifierSlot()
    }
}

/// The features of a row, in an allocation of their own: a length, then minified JSON. In fresh memory, which is all
/// zero, a `FeatureText?` is nil.
struct FeatureText {
    private let block: UnsafeMutableRawPointer
    private static let headerByteCount = 2

    /// The bytes of the heap that features of this length take.
    static func byteCount(jsonByteCount: Int) -> Int {
        allocatedByteCount(headerByteCount + jsonByteCount)
    }

    var byteCount: Int { Self.byteCount(jsonByteCount: bytes.count) }

    /// `json` has at most `JSONLimits.bytesMax` bytes.
    init(copying json: UnsafeRawBufferPointer) {
        block = .allocate(byteCount: Self.headerByteCount + json.count, alignment: 2)
        block.storeBytes(of: UInt16(json.count), as: UInt16.self)
        if let start = json.baseAddress { memcpy(block + Self.headerByteCount, start, json.count) }
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: block + Self.headerByteCount, count: Int(block.load(as: UInt16.self)))
    }

    func deallocate() {
        block.deallocate()
    }
}
