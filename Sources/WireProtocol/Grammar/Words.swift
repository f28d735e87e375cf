func isDash(_ word: UnsafeRawBufferPointer) -> Bool {
    word.count == 1 && word[0] == UInt8(ascii: "-")
}

/// Whether `word` may name a collection or a producer.
func isName(_ word: UnsafeRawBufferPointer) -> Bool {
    (1...Limits.nameBytesMax).contains(word.count)
        && word.allSatisfy { byte in
            (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- 0x30 < 10 || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-")
        }
}

/// The name of a collection. Throws `badRequest`.
func collectionName(_ word: UnsafeRawBufferPointer) throws(WireError) -> String {
    guard isName(word) else {
        throw WireError(
            .badRequest,
            "got collection \(quoted(word)), expected 1 to \(Limits.nameBytesMax) of A-Z a-z 0-9 _ -"
        )
    }
    return String(decoding: word, as: UTF8.self)
}

func equalsIgnoringCase(_ word: UnsafeRawBufferPointer, _ lowerCase: String) -> Bool {
    let expected = lowerCase.utf8
    return word.count == expected.count
        && zip(word, expected).allSatisfy { byte, letter in
            byte == letter || (byte | 0x20 == letter && letter &- UInt8(ascii: "a") < 26)
        }
}

/// An unsigned integer of at most 40 digits as it was sent. Anything else in quotes.
func quotedNumber(_ word: UnsafeRawBufferPointer) -> String {
    word.count <= 40 && NumberText.unsigned(word) != nil ? String(decoding: word, as: UTF8.self) : quoted(word)
}

extension WireError {
    static func tooManyIDs(max: Int) -> WireError {
        WireError(.limit, "got more than \(max) ids, expected at most that")
    }
}
