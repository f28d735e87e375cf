/// The two texts of a vector: `[0.1,0.2]` for people, or `f32:` and base64 of little-endian float32 numbers for
/// programs. A binary framing also has the bytes of the numbers themselves.
package enum VectorText {
    /// The raw values are the words of `HELLO vectors=`.
    package enum Format: String, Sendable, CaseIterable {
        case text
        case base64 = "f32"
        /// Four bytes a number, little-endian. Only in RESP.
        case raw
    }

    /// Reads a vector of any dimension. Throws `BADVECTOR` if a number is not finite.
    ///
    /// With `mayBeRaw`, a word that has not the form of a text is the numbers' own bytes. A text is printable ASCII
    /// from `[` to `]`, or after `f32:`.
    package static func read(_ word: UnsafeRawBufferPointer, mayBeRaw: Bool = false) throws(WireError) -> [Float] {
        if mayBeRaw, !hasFormOfText(word) { return try readRaw(word) }
        if word.first == UInt8(ascii: "[") { return try readText(word) }
        if hasBase64Mark(word) { return try readBase64(UnsafeRawBufferPointer(rebasing: word[4...])) }
        throw WireError(.badVector, "got \(quoted(word)), expected a vector like [0.1,0.2] or f32:zczMPQ==")
    }

    private static func hasFormOfText(_ word: UnsafeRawBufferPointer) -> Bool {
        let isMarked = word.first == UInt8(ascii: "[") && word.last == UInt8(ascii: "]") || hasBase64Mark(word)
        return isMarked && word.isPrintableASCII
    }

    private static func readRaw(_ word: UnsafeRawBufferPointer) throws(WireError) -> [Float] {
        guard word.count % 4 == 0, word.count > 0 else {
            let got = word.isPrintableASCII ? quoted(word) : "\(word.count) bytes"
            let expected = "a vector like [0.1,0.2] or f32:zczMPQ==, or 4 raw bytes for each number"
            throw WireError(.badVector, "got \(got), expected \(expected)")
        }
        let values = [Float](unsafeUninitializedCapacity: word.count / 4) { room, initializedCount in
            for index in 0..<word.count / 4 {
                let bits = UInt32(littleEndian: word.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
                room[index] = Float(bitPattern: bits)
            }
            initializedCount = word.count / 4
        }
        try checkFinite(values)
        return values
    }

    private static func hasBase64Mark(_ word: UnsafeRawBufferPointer) -> Bool {
        word.count >= 4 && word[0] == UInt8(ascii: "f") && word[1] == UInt8(ascii: "3")
            && word[2] == UInt8(ascii: "2") && word[3] == UInt8(ascii: ":")
    }

    private static func readText(_ word: UnsafeRawBufferPointer) throws(WireError) -> [Float] {
        guard word.count >= 2, word[word.count - 1] == UInt8(ascii: "]") else {
            throw WireError(.badVector, "got \(quoted(word)), expected ] at its end: a vector has no spaces")
        }
        let body = UnsafeRawBufferPointer(rebasing: word[1..<(word.count - 1)])
        if body.isEmpty { throw WireError(.badVector, "got [], expected at least one number") }
        var count = 1
        for byte in body where byte == UInt8(ascii: ",") { count += 1 }
        // The first bad number, and where it begins.
        var problem: (number: Int, position: Int)?
        let values = [Float](unsafeUninitializedCapacity: count) { room, initializedCount in
            NumberText.powersOfTen.withUnsafeBufferPointer { powers in
                problem = readNumbers(body, count: count, powers: powers.baseAddress!, into: room.baseAddress!)
            }
            initializedCount = problem == nil ? count : 0
        }
        if let problem { throw badNumber(problem.number, in: body, at: problem.position) }
        return values
    }

    private static func readNumbers(
        _ body: UnsafeRawBufferPointer,
        count: Int,
        powers: UnsafePointer<Double>,
        into values: UnsafeMutablePointer<Float>
    ) -> (number: Int, position: Int)? {
        var position = 0
        for index in 0..<count {
            let start = position
            guard let decimal = NumberText.scan(body, from: &position),
                position == body.count || body[position] == UInt8(ascii: ",")
            else { return (index, start) }
            let spelled = start..<position
            let value = NumberText.float(
                decimal,
                spelled: UnsafeRawBufferPointer(rebasing: body[spelled]),
                powers: powers
            )
            guard value.isFinite else { return (index, start) }
            values[index] = value
            position += 1
        }
        return nil
    }

    private static func badNumber(_ index: Int, in body: UnsafeRawBufferPointer, at position: Int) -> WireError {
        let rest = body[min(position, body.count)...]
        let spelled = rest.prefix { $0 != UInt8(ascii: ",") }
        return WireError(
            .badVector,
            "got \(quoted(UnsafeRawBufferPointer(rebasing: spelled))) as number \(index + 1), expected a finite number"
        )
    }

    private static func readBase64(_ text: UnsafeRawBufferPointer) throws(WireError) -> [Float] {
        guard let byteCount = Base64.decodedCount(text) else {
            throw WireError(.badVector, "got \(text.count) characters of base64, expected a multiple of 4, padded")
        }
        guard byteCount % 4 == 0, byteCount > 0 else {
            throw WireError(.badVector, "got \(byteCount) bytes of base64, expected 4 for each number")
        }
        var isBase64 = true
        let values = [Float](unsafeUninitializedCapacity: byteCount / 4) { room, initializedCount in
            isBase64 = Base64.decode(text, into: UnsafeMutableRawBufferPointer(room))
            #if _endian(big)
            for index in 0..<(byteCount / 4) {
                room[index] = Float(bitPattern: room[index].bitPattern.byteSwapped)
            }
            #endif
            initializedCount = isBase64 ? byteCount / 4 : 0
        }
        guard isBase64 else { throw WireError(.badVector, "got a character that is none of base64's") }
        try checkFinite(values)
        return values
    }

    private static func checkFinite(_ values: [Float]) throws(WireError) {
        guard !allFinite(values) else { return }
        let index = values.firstIndex { !$0.isFinite }!
        let value = values[index].isNaN ? "nan" : "\(values[index])"
        throw WireError(.badVector, "got \(value) as number \(index + 1), expected a finite number")
    }

    private static func allFinite(_ values: [Float]) -> Bool {
        let exponentBits: UInt32 = 0x7F80_0000
        var hasOther = false
        for value in values {
            hasOther = hasOther || value.bitPattern & exponentBits == exponentBits
        }
        return !hasOther
    }

    /// The shortest text of a vector.
    static func textBytesMin(dimension: Int, _ format: Format) -> Int {
        switch format {
        // A digit for each number, the commas, and the brackets.
        case .text: 2 * dimension + 1
        case .base64: 4 + (dimension * MemoryLayout<Float>.size + 2) / 3 * 4
        case .raw: dimension * MemoryLayout<Float>.size
        }
    }

    /// The longest text of a vector in either format.
    static func textBytesMax(dimension: Int) -> Int {
        2 + dimension * (TextCursor.floatBytesMax + 1) + 8
    }
}

extension TextCursor {
    /// At most `VectorText.textBytesMax` bytes.
    mutating func vector(
        _ values: UnsafeBufferPointer<Float>,
        format: VectorText.Format,
        powers: UnsafePointer<PowersOfTen.Entry>
    ) {
        switch format {
        case .text:
            byte(UInt8(ascii: "["))
            for index in values.indices {
                if index > 0 { byte(UInt8(ascii: ",")) }
                number(values[index], powers: powers)
            }
            byte(UInt8(ascii: "]"))
        case .base64:
            text("f32:")
            withLittleEndianBytes(of: values) { (cursor: inout TextCursor, bytes) in cursor.base64(bytes) }
        case .raw:
            withLittleEndianBytes(of: values) { (cursor: inout TextCursor, bytes) in cursor.bytes(bytes) }
        }
    }

    @inline(__always)
    private mutating func withLittleEndianBytes(
        of values: UnsafeBufferPointer<Float>,
        _ body: (inout TextCursor, UnsafeRawBufferPointer) -> Void
    ) {
        #if _endian(big)
        let swapped = values.map { $0.bitPattern.byteSwapped }
        swapped.withUnsafeBytes { body(&self, $0) }
        #else
        body(&self, UnsafeRawBufferPointer(values))
        #endif
    }

    mutating func vector(_ values: UnsafeBufferPointer<Float>, format: VectorText.Format) {
        PowersOfTen.table.withUnsafeBufferPointer { vector(values, format: format, powers: $0.baseAddress!) }
    }

    private mutating func base64(_ bytes: UnsafeRawBufferPointer) {
        next += Base64.encode(bytes, into: next)
    }
}
