/// The other protocols that clients speak to this port.
///
/// A web page can make a browser send an HTTP request to any port, and chooses most of its lines. So none of the lines
/// after the first may be carried out. Only lines that were refused are examined, so no valid request is taken for
/// another protocol, and valid requests cost nothing.
enum ForeignProtocol {
    /// The error that ends the connection, if `line` is of another protocol. `isVerb` says whether it begins with a
    /// verb of this one.
    static func error(of line: UnsafeRawBufferPointer, isVerb: Bool) -> WireError? {
        if isHTTPRequest(line, isVerb: isVerb) || !isVerb && isHTTPHeader(line) {
            return WireError(.badRequest, "got an HTTP request, expected a verb: this port speaks no HTTP")
        }
        if !isVerb, isRESPArray(line) {
            let got = "got an array of RESP, the protocol of Redis, after a line"
            return WireError(.badRequest, "\(got), expected lines: the first byte of a connection decides")
        }
        return nil
    }

    /// Three words or more, of which the last begins with `HTTP/`. The first is no verb, or the second no collection:
    /// `POST x HTTP/1.1`, `GET / HTTP/1.1`, `PUT http://x/ HTTP/1.1`.
    private static func isHTTPRequest(_ line: UnsafeRawBufferPointer, isVerb: Bool) -> Bool {
        let space = UInt8(ascii: " ")
        guard let lastSpace = line.lastIndex(of: space), line[(lastSpace + 1)...].starts(with: "HTTP/".utf8),
            let firstSpace = line.firstIndex(of: space), firstSpace < lastSpace
        else { return false }
        let target = line[(firstSpace + 1)...].prefix { $0 != space }
        return !isVerb || !isName(UnsafeRawBufferPointer(rebasing: target))
    }

    /// A first word with a colon after its beginning: `Host: x`. No verb and no collection has one.
    private static func isHTTPHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        line.prefix { $0 != UInt8(ascii: " ") }.dropFirst().contains(UInt8(ascii: ":"))
    }

    /// `*` and digits, with which each request of `redis-cli` begins.
    private static func isRESPArray(_ line: UnsafeRawBufferPointer) -> Bool {
        line.count > 1 && line[0] == UInt8(ascii: "*") && line.dropFirst().allSatisfy { $0 &- 0x30 < 10 }
    }
}
