package import NIOCore

/// How a connection writes rows: its framing, and the format of vectors.
package struct RowEncoding: Sendable, Equatable {
    package enum Framing: Sendable {
        case lines, resp2, resp3
    }

    package var framing: Framing
    package var vectorFormat = VectorText.Format.text

    package init(framing: Framing) {
        self.framing = framing
    }
}

/// The number of values in a row: those without a label, and after them those with one.
package struct RowShape: Sendable {
    let plainCount: Int
    let labelCount: Int

    package init(_ plainCount: Int, labeled labelCount: Int = 0) {
        self.plainCount = plainCount
        self.labelCount = labelCount
    }

    var valueCount: Int { plainCount + labelCount }
}

/// Writes the values of one row, in the encoding of a connection.
///
/// In lines, one space separates two values, and a value with a label is `label=value`. In RESP, a row of one value is
/// the value. A longer row is an array, and all values with a label are together one map at its end.
///
/// The bytes go to reserved memory, so a row must not have more values or longer texts than its writer has announced.
package struct RowCursor {
    private var text: TextCursor
    private let encoding: RowEncoding
    private let shape: RowShape
    private var valueCount = 0

    /// The most bytes of a row besides its values: the header of its array, that of its map, and a line end.
    private static let rowBytesMax = 2 * TextCursor.headerBytesMax + 1
    /// The most bytes of a value besides its text and its label: a separator, or the headers and ends of both.
    private static let valueBytesMax = 2 * (TextCursor.headerBytesMax + 2) + 1
    /// The most bytes of a label.
    private static let labelBytesMax = 16
    /// The most bytes of a number. Repeating one stores all bytes of its last text, whatever their count.
    package static let numberBytesMax = max(TextCursor.doubleBytesMax, MemoryLayout<SIMD32<UInt8>>.size)

    /// The most bytes of a row besides the texts of its values.
    @inline(__always)
    static func bytesMax(_ shape: RowShape) -> Int {
        rowBytesMax + shape.valueCount * valueBytesMax + shape.labelCount * labelBytesMax
    }

    @inline(__always)
    init(_ text: TextCursor, _ encoding: RowEncoding, _ shape: RowShape) {
        self.text = text
        self.encoding = encoding
        self.shape = shape
        if encoding.framing != .lines, shape.valueCount > 1 {
            self.text.header("*", shape.plainCount + (shape.labelCount > 0 ? 1 : 0))
        }
    }

    /// Ends the row. Returns the cursor after it.
    @inline(__always)
    mutating func end() -> TextCursor {
        if encoding.framing == .lines { text.byte(UInt8(ascii: "\n")) }
        return text
    }

    @inline(__always)
    private mutating func beginValue(_ label: StaticString? = nil) {
        assert(label.map { $0.utf8CodeUnitCount <= Self.labelBytesMax } ?? true)
        if encoding.framing == .lines {
            if valueCount > 0 { text.byte(UInt8(ascii: " ")) }
            if let label {
                text.text(label)
                text.byte(UInt8(ascii: "="))
            }
        } else {
            if valueCount == shape.plainCount { text.mapHeader(shape.labelCount, encoding.framing) }
            if let label { text.bulk(label) }
        }
        valueCount += 1
    }

    // MARK: Values

    package mutating func id(_ id: UnsafeRawBufferPointer) {
        beginValue()
        if encoding.framing == .lines { text.id(id) } else { text.bulk(id) }
    }

    /// Nil is written as missing: `-` in lines, a null in RESP.
    package mutating func vector(_ vector: UnsafeBufferPointer<Float>?) {
        beginValue()
        guard let vector else { return missing() }
        let format = encoding.vectorFormat
        if encoding.framing == .lines {
            text.vector(vector, format: format)
        } else if format == .raw {
            text.header("$", vector.count * MemoryLayout<Float>.size)
            text.vector(vector, format: .raw)
            text.lineEnd()
        } else {
            text.bulk { $0.vector(vector, format: format) }
        }
    }

    /// NaN is written as missing. `last` is the last number that was written, whose text is copied if it is the same.
    package mutating func number(_ number: Double, label: StaticString? = nil, repeating last: inout WrittenNumber) {
        beginValue(label)
        guard !number.isNaN else { return missing() }
        switch encoding.framing {
        case .lines:
            text.number(number, repeating: &last)
        case .resp2:
            text.bulk { $0.number(number, repeating: &last) }
        case .resp3:
            text.byte(UInt8(ascii: ","))
            text.number(number, repeating: &last)
            text.lineEnd()
        }
    }

    package mutating func number(_ number: Double, label: StaticString? = nil) {
        var last = WrittenNumber()
        self.number(number, label: label, repeating: &last)
    }

    /// A negative integer is written as missing.
    package mutating func integer(_ integer: Int64, label: StaticString? = nil) {
        beginValue(label)
        guard integer >= 0 else { return missing() }
        if encoding.framing == .lines { text.integer(integer) } else { text.header(":", Int(integer)) }
    }

    package mutating func flag(_ flag: Bool, label: StaticString? = nil) {
        beginValue(label)
        switch encoding.framing {
        case .lines: text.byte(flag ? UInt8(ascii: "1") : UInt8(ascii: "0"))
        case .resp2: text.header(":", flag ? 1 : 0)
        case .resp3: text.text(flag ? "#t\r\n" : "#f\r\n")
        }
    }

    package mutating func word(_ word: StaticString, label: StaticString? = nil) {
        beginValue(label)
        if encoding.framing == .lines { text.text(word) } else { text.bulk(word) }
    }

    /// Nil is written as missing.
    package mutating func json(_ json: UnsafeRawBufferPointer?, label: StaticString? = nil) {
        beginValue(label)
        guard let json else { return missing() }
        if encoding.framing == .lines { text.bytes(json) } else { text.bulk(json) }
    }

    mutating func string(_ string: String, label: StaticString?) {
        beginValue(label)
        let isLine = encoding.framing == .lines
        var string = isLine ? LineReplyWriter.singleLine(string) : string
        string.withUTF8 { isLine ? text.bytes(UnsafeRawBufferPointer($0)) : text.bulk(UnsafeRawBufferPointer($0)) }
    }

    private mutating func missing() {
        switch encoding.framing {
        case .lines: text.byte(UInt8(ascii: "-"))
        case .resp2, .resp3: text.null(encoding.framing)
        }
    }
}

/// The last number of a column, and its text. Many rows repeat a number, for example the probability of a uniform draw.
package struct WrittenNumber {
    fileprivate var number = Double.nan
    fileprivate var text = SIMD32<UInt8>()
    fileprivate var count = 0

    package init() {}
}

extension RowEncoding {
    /// Appends a row whose values `write` writes. The texts of its values have at most `textBytesMax` bytes together,
    /// besides labels.
    @inline(__always)
    package func writeRow(
        _ shape: RowShape,
        textBytesMax: Int,
        into buffer: inout ByteBuffer,
        _ write: (inout RowCursor) -> Void
    ) {
        buffer.writeText(atMost: RowCursor.bytesMax(shape) + textBytesMax) { text in
            var row = RowCursor(text, self, shape)
            write(&row)
            text = row.end()
        }
    }

    /// The most bytes of the text of a vector.
    package func vectorBytesMax(dimension: Int) -> Int {
        switch vectorFormat {
        case .text: VectorText.textBytesMax(dimension: dimension)
        case .base64, .raw: VectorText.textBytesMin(dimension: dimension, vectorFormat)
        }
    }
}

extension TextCursor {
    @inline(__always)
    fileprivate mutating func number(_ number: Double, repeating last: inout WrittenNumber) {
        let start = UnsafeMutableRawPointer(next)
        if number != last.number || number == 0 {
            self.number(number)
            last.number = number
            last.text = start.loadUnaligned(as: SIMD32<UInt8>.self)
            last.count = UnsafeMutableRawPointer(next) - start
        } else {
            start.storeBytes(of: last.text, as: SIMD32<UInt8>.self)
            next += last.count
        }
    }
}
