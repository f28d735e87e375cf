import PackedStrings
import WireProtocol

/// Reads rows into the types of this library. Throws `ReplyFormatError` if a row does not have the expected form.
extension ReplyRows {
    func expect(count expected: Int) throws(ReplyFormatError) {
        guard count == expected else { throw ReplyFormatError("got \(count) rows, expected \(expected)") }
    }

    /// Reads one element from each row. If `expected` is given, there must be this many rows.
    func map<Element>(
        expected: Int? = nil,
        _ element: (inout RowReader) throws(ReplyFormatError) -> Element
    ) throws(ReplyFormatError) -> [Element] {
        if let expected { try expect(count: expected) }
        return try read { (rows) throws(ReplyFormatError) in
            var elements: [Element] = []
            elements.reserveCapacity(count)
            while var row = rows.next() { elements.append(try element(&row)) }
            return elements
        }
    }

    /// Rows `name value`.
    func namedValues() throws(ReplyFormatError) -> NamedValues {
        NamedValues(
            try map { (row) throws(ReplyFormatError) in
                NamedValue(name: String(decoding: try row.word(), as: UTF8.self), value: row.text())
            }
        )
    }
}

extension RowReader {
    mutating func word() throws(ReplyFormatError) -> UnsafeRawBufferPointer {
        guard let word = nextWord() else { throw ReplyFormatError("got a row that ends early") }
        return word
    }

    /// The rest of the row.
    mutating func text() -> String {
        String(decoding: rest(), as: UTF8.self)
    }

    mutating func id() throws(ReplyFormatError) -> ItemID {
        let word = try word()
        if !word.contains(where: { IDText.isReserved($0) }) { return ItemID(Array(word)) }
        var ids = PackedStrings()
        do throws(WireError) {
            try IDText.decode(word, into: &ids)
        } catch {
            throw ReplyFormatError(error.message)
        }
        return ItemID(Array(ids[0]))
    }

    mutating func skipID() throws(ReplyFormatError) {
        _ = try word()
    }

    mutating func number() throws(ReplyFormatError) -> Double {
        try RowReader.number(try word())
    }

    /// Nil for `-`.
    mutating func optionalNumber() throws(ReplyFormatError) -> Double? {
        let word = try word()
        return RowReader.isDash(word) ? nil : try RowReader.number(word)
    }

    mutating func integer() throws(ReplyFormatError) -> Int64 {
        try RowReader.integer(try word())
    }

    /// Nil for `-`.
    mutating func optionalInteger() throws(ReplyFormatError) -> Int64? {
        let word = try word()
        return RowReader.isDash(word) ? nil : try RowReader.integer(word)
    }

    /// Nil for `-`.
    mutating func vector() throws(ReplyFormatError) -> [Float]? {
        let word = try word()
        if RowReader.isDash(word) { return nil }
        do throws(WireError) {
            return try VectorText.read(word)
        } catch {
            throw ReplyFormatError(error.message)
        }
    }

    /// The JSON that ends the row; nil for `-`.
    mutating func json() throws(ReplyFormatError) -> String? {
        let rest = rest()
        if rest.isEmpty { throw ReplyFormatError("got a row that ends early") }
        return RowReader.isDash(rest) ? nil : String(decoding: rest, as: UTF8.self)
    }

    mutating func state() throws(ReplyFormatError) -> FrequencyState {
        try RowReader.state(try word())
    }

    /// The value of the next word, which must be `label=value`.
    mutating func value(of label: StaticString) throws(ReplyFormatError) -> UnsafeRawBufferPointer {
        let word = try word()
        let labelCount = label.utf8CodeUnitCount
        let name = UnsafeRawBufferPointer(start: label.utf8Start, count: labelCount)
        guard word.count > labelCount, word.starts(with: name), word[labelCount] == UInt8(ascii: "=") else {
            throw ReplyFormatError("got \(RowReader.quote(word)), expected \(label)=…")
        }
        return UnsafeRawBufferPointer(rebasing: word[(labelCount + 1)...])
    }

    mutating func number(of label: StaticString) throws(ReplyFormatError) -> Double {
        try RowReader.number(try value(of: label))
    }

    mutating func optionalNumber(of label: StaticString) throws(ReplyFormatError) -> Double? {
        let value = try value(of: label)
        return RowReader.isDash(value) ? nil : try RowReader.number(value)
    }

    mutating func optionalInteger(of label: StaticString) throws(ReplyFormatError) -> Int64? {
        let value = try value(of: label)
        return RowReader.isDash(value) ? nil : try RowReader.integer(value)
    }

    static func number(_ word: UnsafeRawBufferPointer) throws(ReplyFormatError) -> Double {
        guard let number = NumberText.double(word) else {
            throw ReplyFormatError("got \(quote(word)), expected a number")
        }
        return number
    }

    static func integer(_ word: UnsafeRawBufferPointer) throws(ReplyFormatError) -> Int64 {
        guard let number = NumberText.integer(word) else {
            throw ReplyFormatError("got \(quote(word)), expected an integer")
        }
        return number
    }

    static func state(_ word: UnsafeRawBufferPointer) throws(ReplyFormatError) -> FrequencyState {
        guard let state = FrequencyState(rawValue: String(decoding: word, as: UTF8.self)) else {
            throw ReplyFormatError("got \(quote(word)), expected a state")
        }
        return state
    }

    private static func isDash(_ word: UnsafeRawBufferPointer) -> Bool {
        word.count == 1 && word[0] == UInt8(ascii: "-")
    }

    private static func quote(_ word: UnsafeRawBufferPointer) -> String {
        "'\(String(decoding: word.prefix(40), as: UTF8.self))'"
    }
}
