extension String {
    /// Calls `body` with the UTF-8 bytes of the string.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try Array(utf8).withBytes(body)
    }
}

extension Array where Element == UInt8 {
    /// Like `withUnsafeBytes`, but with typed throws.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var result: Result<R, E>?
        withUnsafeBytes { bytes in
            do throws(E) {
                result = .success(try body(bytes))
            } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }
}
