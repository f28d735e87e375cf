package import PackedStrings

/// The words of a request of RESP, which may have any bytes.
package struct RESPWords: WordSource {
    /// Where a word is in the bytes of its request.
    struct Place {
        let start: Int32
        let end: Int32
    }

    private let bytes: UnsafeRawBufferPointer
    private let places: UnsafeBufferPointer<Place>
    package private(set) var wordCount = 0

    init(_ bytes: UnsafeRawBufferPointer, _ places: UnsafeBufferPointer<Place>) {
        self.bytes = bytes
        self.places = places
    }

    package static var isBinary: Bool { true }

    package var isAtEnd: Bool { wordCount == places.count }

    package var optionName: UnsafeRawBufferPointer? { following?.optionName() }

    package var isNextRaw: Bool { following.map { !$0.isPrintableASCII } ?? false }

    package mutating func endOptions() {
        if let following, following.elementsEqual("--".utf8) { wordCount += 1 }
    }

    package mutating func next() -> UnsafeRawBufferPointer? {
        defer { if !isAtEnd { wordCount += 1 } }
        return following
    }

    /// Throws `BADREQUEST` if more than one word is left, because a text is one word here.
    package mutating func rest() throws(WireError) -> UnsafeRawBufferPointer? {
        let leftCount = places.count - wordCount
        guard leftCount <= 1 else {
            throw WireError(.badRequest, "got \(leftCount) words at the end, expected the JSON as one word")
        }
        return next()
    }

    package mutating func readIDs(into ids: inout PackedStrings, countMax: Int, limit: Int) throws(WireError) {
        let count = places.count - wordCount
        guard count <= countMax else {
            throw WireError(.limit, "got \(limit - countMax + count) ids, expected at most \(limit)")
        }
        var byteCount = 0
        for place in places[wordCount...] { byteCount += Int(place.end - place.start) }
        ids.reserveCapacity(strings: count, bytes: byteCount)
        while let word = next() { try IDText.appendRaw(word, to: &ids) }
    }

    private var following: UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        let place = places[wordCount]
        return UnsafeRawBufferPointer(rebasing: bytes[Int(place.start)..<Int(place.end)])
    }
}

extension UnsafeRawBufferPointer {
    /// Whether all bytes are 0x20 to 0x7E.
    var isPrintableASCII: Bool { allSatisfy { $0 &- 0x20 < 0x5F } }
}
