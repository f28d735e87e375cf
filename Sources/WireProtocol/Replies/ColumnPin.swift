import PackedStrings

/// Plain pointers to a column's memory, for use while its rows are written. A value then costs neither a reference
/// count nor a bounds check.
///
/// Valid only within `Column.withPin`, which keeps the memory in place.
struct ColumnPin {
    enum Source {
        case ids(bytes: UnsafeRawBufferPointer, ends: UnsafePointer<Int32>)
        case vectors(UnsafePointer<Float>, dimension: Int, isPresent: UnsafePointer<Bool>?)
        case numbers(UnsafePointer<Double>)
        case integers(UnsafePointer<Int64>)
        case json(bytes: UnsafeRawBufferPointer, ends: UnsafePointer<Int32>, isPresent: UnsafePointer<Bool>?)
        case texts(UnsafePointer<String>)
    }

    private let source: Source
    private let label: StaticString?
    /// The most bytes of the text of a value, except the bytes that depend on the row.
    private let fixedBytesMax: Int
    /// The number of vectors written so far. The list has no entry for a row without a vector.
    private var vectorsSeen = 0
    private var lastNumber = WrittenNumber()

    private init(_ source: Source, label: StaticString?, valueBytesMax: Int) {
        self.source = source
        self.label = label
        fixedBytesMax = valueBytesMax
    }

    /// The most bytes of the text of the value in `row`.
    @inline(__always)
    func bytesMax(_ row: Int) -> Int {
        switch source {
        case .ids(let bytes, let ends): IDText.textBytesMax(Self.string(bytes, ends, row).count)
        case .json(let bytes, let ends, _): Self.string(bytes, ends, row).count
        case .texts(let texts): texts[row].utf8.count
        default: fixedBytesMax
        }
    }

    @inline(__always)
    mutating func write(_ row: Int, _ cursor: inout RowCursor) {
        switch source {
        case .ids(let bytes, let ends):
            cursor.id(Self.string(bytes, ends, row))
        case .vectors(let values, let dimension, let isPresent):
            guard isPresent?[row] ?? true else { return cursor.vector(nil) }
            cursor.vector(UnsafeBufferPointer(start: values + vectorsSeen * dimension, count: dimension))
            vectorsSeen += 1
        case .numbers(let numbers):
            cursor.number(numbers[row], label: label, repeating: &lastNumber)
        case .integers(let integers):
            cursor.integer(integers[row], label: label)
        case .json(let bytes, let ends, let isPresent):
            cursor.json(isPresent?[row] ?? true ? Self.string(bytes, ends, row) : nil, label: label)
        case .texts(let texts):
            cursor.string(texts[row], label: label)
        }
    }

    @inline(__always)
    private static func string(
        _ bytes: UnsafeRawBufferPointer,
        _ ends: UnsafePointer<Int32>,
        _ index: Int
    ) -> UnsafeRawBufferPointer {
        let start = index == 0 ? 0 : Int(ends[index - 1])
        return UnsafeRawBufferPointer(rebasing: bytes[start..<Int(ends[index])])
    }

    // MARK: Pinning

    static func of(_ column: Column, _ body: (ColumnPin) -> Void) {
        func pin(_ source: Source, _ valueBytesMax: Int) {
            body(ColumnPin(source, label: column.label, valueBytesMax: valueBytesMax))
        }
        switch column.values {
        case .ids(let ids):
            ids.bytes.withUnsafeBytes { bytes in
                ids.ends.withUnsafeBufferPointer { pin(.ids(bytes: bytes, ends: $0.baseAddress!), 0) }
            }
        case .vectors(let values, let dimension, let isPresent):
            let bytesMax = VectorText.textBytesMax(dimension: dimension)
            values.withUnsafeBufferPointer { values in
                // If no row has a vector, there is no memory to point to, and this placeholder is never read.
                let start = values.baseAddress ?? UnsafePointer(bitPattern: 4)!
                withPointer(isPresent) { pin(.vectors(start, dimension: dimension, isPresent: $0), bytesMax) }
            }
        case .numbers(let numbers):
            numbers.withUnsafeBufferPointer { pin(.numbers($0.baseAddress!), RowCursor.numberBytesMax) }
        case .integers(let integers):
            integers.withUnsafeBufferPointer { pin(.integers($0.baseAddress!), 20) }
        case .json(let texts, let isPresent):
            texts.bytes.withUnsafeBytes { bytes in
                texts.ends.withUnsafeBufferPointer { ends in
                    withPointer(isPresent) { pin(.json(bytes: bytes, ends: ends.baseAddress!, isPresent: $0), 1) }
                }
            }
        case .texts(let texts):
            texts.withUnsafeBufferPointer { pin(.texts($0.baseAddress!), 0) }
        }
    }

    private static func withPointer(_ flags: [Bool]?, _ body: (UnsafePointer<Bool>?) -> Void) {
        guard let flags else { return body(nil) }
        flags.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

extension Column {
    /// Calls `body` with pointers to the column's memory. The column must have at least one row.
    func withPin<R>(_ body: (ColumnPin) -> R) -> R {
        var result: R?
        ColumnPin.of(self) { result = body($0) }
        return result!
    }
}
