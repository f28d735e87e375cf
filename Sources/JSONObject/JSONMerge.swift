/// Merging one minified object into another, as RFC 7396 (JSON merge patch) says.
///
/// No value is parsed and written again: the bytes of each key and value are copied. So a number beyond 2^53 that the
/// patch does not name stays digit for digit.
extension JSONText {
    /// Returns `object` with the changes of `patch`; nil stands for an object without members. A member of the patch
    /// replaces the member with the same key, or comes after the present ones. One with the value `null` removes the
    /// member. Two objects are merged in the same way. Every other value, an array too, is replaced as a whole.
    ///
    /// Both must be minified. The result may be longer than `JSONLimits.bytesMax`, but not than both together. The
    /// cost grows with the length of both, times the depth to which both nest at the same keys.
    package static func merged(_ object: UnsafeRawBufferPointer?, with patch: UnsafeRawBufferPointer) -> [UInt8] {
        var merged: [UInt8] = []
        merged.reserveCapacity((object?.count ?? 0) + patch.count)
        append(object, mergedWith: patch, to: &merged)
        return merged
    }

    private struct Member {
        /// The key in its quotes, and the colon.
        let key: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer

        var isRemoval: Bool { value.first == UInt8(ascii: "n") }
        var object: UnsafeRawBufferPointer? { value.first == UInt8(ascii: "{") ? value : nil }

        var unescapedKey: [UInt8] {
            var bytes: [UInt8] = []
            JSONMinifier.unescape(UnsafeRawBufferPointer(rebasing: key.dropFirst().dropLast(2)), into: &bytes)
            return bytes
        }
    }

    private static func members(of object: UnsafeRawBufferPointer) -> [Member] {
        var members: [Member] = []
        var at = 1
        while at < object.count, object[at] == UInt8(ascii: "\"") {
            let valueStart = endOfString(object, from: at) + 1
            let end = endOfValue(object, from: valueStart)
            members.append(
                Member(
                    key: UnsafeRawBufferPointer(rebasing: object[at..<valueStart]),
                    value: UnsafeRawBufferPointer(rebasing: object[valueStart..<end])
                )
            )
            // Skip the comma after the member, or the closing brace of the object.
            at = end + 1
        }
        return members
    }

    private static func append(
        _ object: UnsafeRawBufferPointer?,
        mergedWith patch: UnsafeRawBufferPointer,
        to merged: inout [UInt8]
    ) {
        let changes = members(of: patch)
        // No key occurs twice in an object.
        var newChanges: [[UInt8]: Int] = [:]
        for (index, change) in changes.enumerated() { newChanges[change.unescapedKey] = index }
        merged.append(UInt8(ascii: "{"))
        let start = merged.count
        for member in object.map(members) ?? [] {
            if let index = newChanges.removeValue(forKey: member.unescapedKey) {
                append(changes[index], over: member, from: start, to: &merged)
            } else {
                append(member.key, member.value, from: start, to: &merged)
            }
        }
        for index in newChanges.values.sorted() { append(changes[index], over: nil, from: start, to: &merged) }
        merged.append(UInt8(ascii: "}"))
    }

    /// Appends the member that `change` makes of `member`, if any. The present spelling of the key stays.
    private static func append(_ change: Member, over member: Member?, from start: Int, to merged: inout [UInt8]) {
        guard !change.isRemoval else { return }
        let key = member?.key ?? change.key
        guard let patch = change.object else { return append(key, change.value, from: start, to: &merged) }
        append(key, UnsafeRawBufferPointer(start: nil, count: 0), from: start, to: &merged)
        append(member?.object, mergedWith: patch, to: &merged)
    }

    /// Appends a member, after a comma unless it is the first one since `start`.
    private static func append(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        from start: Int,
        to merged: inout [UInt8]
    ) {
        if merged.count > start { merged.append(UInt8(ascii: ",")) }
        merged.append(contentsOf: key)
        merged.append(contentsOf: value)
    }
}
