extension ColumnPin {
    /// Writes the value of `row`, after its label if the column has one.
    @inline(__always)
    mutating func writeRESP(
        _ row: Int,
        _ cursor: inout TextCursor,
        _ version: RESPReplyWriter.Version,
        _ format: VectorText.Format,
        _ powers: UnsafePointer<PowersOfTen.Entry>
    ) {
        if let label { cursor.bulk(label) }
        switch source {
        case .ids(let bytes, let ends, let from):
            cursor.bulk(Self.string(bytes, ends, from + row))
        case .vectors(let values, let dimension, let isPresent):
            guard isPresent?[row] ?? true else { return cursor.null(version) }
            let vector = nextVector(values, dimension)
            if format == .raw {
                cursor.header("$", dimension * MemoryLayout<Float>.size)
                cursor.vector(vector, format: .raw, powers: powers)
                cursor.lineEnd()
            } else {
                cursor.bulk { $0.vector(vector, format: format, powers: powers) }
            }
        case .numbers(let numbers):
            write(number: numbers[row], &cursor, version, powers)
        case .integers(let integers):
            guard integers[row] >= 0 else { return cursor.null(version) }
            cursor.header(":", Int(integers[row]))
        case .flags(let flags):
            switch version {
            case .two: cursor.header(":", flags[row] ? 1 : 0)
            case .three: cursor.text(flags[row] ? "#t\r\n" : "#f\r\n")
            }
        case .choices(let choices, let words):
            cursor.bulk(words[Int(choices[row])])
        case .json(let bytes, let ends, let isPresent):
            guard isPresent?[row] ?? true else { return cursor.null(version) }
            cursor.bulk(Self.string(bytes, ends, row))
        case .texts(let texts):
            var text = texts[row]
            text.withUTF8 { cursor.bulk(UnsafeRawBufferPointer($0)) }
        }
    }

    @inline(__always)
    private mutating func write(
        number: Double,
        _ cursor: inout TextCursor,
        _ version: RESPReplyWriter.Version,
        _ powers: UnsafePointer<PowersOfTen.Entry>
    ) {
        guard !number.isNaN else { return cursor.null(version) }
        switch version {
        case .two:
            cursor.bulk { write(number, &$0, powers) }
        case .three:
            cursor.byte(UInt8(ascii: ","))
            write(number, &cursor, powers)
            cursor.lineEnd()
        }
    }
}

extension TextCursor {
    /// The most bytes of a header: a mark, an integer, CR and LF.
    static let headerBytesMax = 23

    /// A mark, a number of 0 or more, CR and LF.
    @inline(__always)
    mutating func header(_ mark: Unicode.Scalar, _ number: Int) {
        byte(UInt8(ascii: mark))
        unsigned(UInt64(number))
        lineEnd()
    }

    @inline(__always)
    mutating func lineEnd() {
        byte(UInt8(ascii: "\r"))
        byte(UInt8(ascii: "\n"))
    }

    @inline(__always)
    mutating func null(_ version: RESPReplyWriter.Version) {
        switch version {
        case .two: text("$-1\r\n")
        case .three: text("_\r\n")
        }
    }

    /// A bulk string of these bytes.
    @inline(__always)
    mutating func bulk(_ bytes: UnsafeRawBufferPointer) {
        header("$", bytes.count)
        self.bytes(bytes)
        lineEnd()
    }

    @inline(__always)
    mutating func bulk(_ text: StaticString) {
        bulk(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A bulk string of the text that `body` writes. The length stands before the text, so the text is written with
    /// room before it, and then moved.
    @inline(__always)
    mutating func bulk(_ body: (inout TextCursor) -> Void) {
        let start = next + Self.headerBytesMax
        var text = TextCursor(next: start)
        body(&text)
        let count = text.next - start
        header("$", count)
        UnsafeMutableRawPointer(next).copyMemory(from: start, byteCount: count)
        next += count
        lineEnd()
    }
}
