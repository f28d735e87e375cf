package import PackedStrings

/// Checks and minifies the features of an item: one JSON object (RFC 8259) in UTF-8.
///
/// White space outside strings goes; all else stays byte for byte, the order of the keys too. A key twice in one object
/// is refused at every level: what it would mean depends on who reads. Keys are compared unescaped, so `"a"` and
/// `"\u0061"` are one.
package enum JSONText {
    /// The object without white space.
    package static func minifiedObject(_ text: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
        var problem: WireError?
        let capacity = min(text.count, Limits.jsonBytesMax)
        let minified = [UInt8](unsafeUninitializedCapacity: capacity) { room, count in
            var minifier = JSONMinifier(text: text, output: room)
            do throws(WireError) {
                try minifier.document()
                count = minifier.outputCount
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
        return minified
    }

    /// Appends to `selected` the object with only those top-level members of `object` (minified, as stored) whose keys
    /// are among `keys`, in the object's own order.
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
            // Behind a member stands a comma, or the brace that ends the object.
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

    /// The index behind the string that begins at `start`.
    private static func endOfString(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start + 1
        while at < text.count, text[at] != UInt8(ascii: "\"") {
            at += text[at] == UInt8(ascii: "\\") ? 2 : 1
        }
        return at + 1
    }

    /// The index behind the value that begins at `start`: the comma or the closing brace of the object around it.
    private static func endOfValue(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
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
