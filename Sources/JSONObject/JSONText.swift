package import PackedStrings

/// Checks and minifies the features of an item: one JSON object (RFC 8259) in UTF-8.
///
/// White space outside strings is removed. Everything else stays byte for byte, including the order of the keys. A
/// duplicate key in one object, at any level, is refused, because parsers disagree about its meaning. Keys are compared
/// after unescaping, so `"a"` and `"\u0061"` are the same key.
package enum JSONText {
    /// Checks the object, and returns it without white space.
    package static func minifiedObject(_ text: UnsafeRawBufferPointer) throws(JSONError) -> [UInt8] {
        var problem: JSONError?
        let capacity = min(text.count, JSONLimits.bytesMax)
        let minified = [UInt8](unsafeUninitializedCapacity: capacity) { room, count in
            // The memory of few chains is on the stack.
            withUnsafeTemporaryAllocation(
                of: Int32.self,
                capacity: JSONMinifier.chainCount(forOutputOf: capacity)
            ) { chains in
                var minifier = JSONMinifier(text: text, output: room, chains: chains)
                do throws(JSONError) {
                    try minifier.document()
                    count = minifier.outputCount
                } catch {
                    problem = error
                }
            }
        }
        if let problem { throw problem }
        return minified
    }

    /// Appends to `selected` a copy of the minified `object` that has only the top-level members with one of `keys`.
    /// They keep the order of the object.
    package static func select(
        _ keys: JSONKeys,
        from object: UnsafeRawBufferPointer,
        into selected: inout PackedStrings
    ) {
        selected.appendByte(UInt8(ascii: "{"))
        var isFirst = true
        var scratch: [UInt8] = []
        var at = 1
        while at < object.count, object[at] == UInt8(ascii: "\"") {
            let memberStart = at
            let keyEnd = endOfString(object, from: at)
            let key = UnsafeRawBufferPointer(rebasing: object[(at + 1)..<(keyEnd - 1)])
            at = endOfValue(object, from: keyEnd + 1)
            if contains(keys, key, &scratch) {
                if !isFirst { selected.appendByte(UInt8(ascii: ",")) }
                isFirst = false
                selected.appendBytes(UnsafeRawBufferPointer(rebasing: object[memberStart..<at]))
            }
            // Skip the comma after the member, or the closing brace of the object.
            at += 1
        }
        selected.appendByte(UInt8(ascii: "}"))
        selected.finishString()
    }

    private static func contains(_ keys: JSONKeys, _ key: UnsafeRawBufferPointer, _ scratch: inout [UInt8]) -> Bool {
        guard key.contains(UInt8(ascii: "\\")) else { return keys.contains(key) }
        scratch.removeAll(keepingCapacity: true)
        JSONMinifier.unescape(key, into: &scratch)
        return scratch.withUnsafeBytes(keys.contains)
    }

    /// The index after the string that begins at `start`.
    static func endOfString(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start + 1
        while at < text.count, text[at] != UInt8(ascii: "\"") {
            at += text[at] == UInt8(ascii: "\\") ? 2 : 1
        }
        return at + 1
    }

    /// The index after the value that begins at `start`: the comma or the closing bracket that follows it.
    static func endOfValue(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start
        var depth = 0
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\""):
                at = endOfString(text, from: at)
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return at }
                depth -= 1
            case UInt8(ascii: ","):
                if depth == 0 { return at }
            default:
                break
            }
            at += 1
        }
        return at
    }
}
