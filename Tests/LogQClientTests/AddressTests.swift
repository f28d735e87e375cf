import LogQClient
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        ("logq://example.org:7", LogQAddress.tcp(host: "example.org", port: 7)),
        ("logq://example.org", .tcp(host: "example.org", port: 5_647)),
        ("LOGQ://127.0.0.1:65535/", .tcp(host: "127.0.0.1", port: 65_535)),
        ("logq://[::1]:7", .tcp(host: "::1", port: 7)),
        ("logq://[::1]", .tcp(host: "::1", port: 5_647)),
        ("logq+unix:///run/logqd.sock", .unixSocket(path: "/run/logqd.sock")),
        ("logq+unix:///a%20b/%C3%A9%40", .unixSocket(path: "/a b/é@")),
    ])
    func urlsOfBothForms(url: String, address: LogQAddress) throws {
        #expect(try LogQAddress(url: url) == address)
    }

    @Test(arguments: [
        ("", "expected logq://host:port or logq+unix:///path"),
        ("example.org:7", "expected logq://host:port or logq+unix:///path"),
        ("redis://example.org:7", "expected logq://host:port or logq+unix:///path"),
        ("logqs://example.org", "no TLS"),
        ("logq://", "expected logq://host:port"),
        ("logq://:7", "expected logq://host:port"),
        ("logq://h:", "a port from 1 to 65535"),
        ("logq://h:0", "a port from 1 to 65535"),
        ("logq://h:65536", "a port from 1 to 65535"),
        ("logq://h:+7", "a port from 1 to 65535"),
        ("logq://::1", "an IPv6 address in brackets"),
        ("logq://[::1", "an IPv6 address in brackets"),
        ("logq://h:7/items", "expected logq://host:port"),
        ("logq://user@h:7", "neither a user nor a query"),
        ("logq://h:7?timeout=1", "neither a user nor a query"),
        ("logq+unix://run/logqd.sock", "an absolute path"),
        ("logq+unix:///", "an absolute path"),
        ("logq+unix:///a%2", "percent-encoded"),
        ("logq+unix:///a%+1", "percent-encoded"),
        ("logq+unix:///a%FF", "percent-encoded"),
        ("logq+unix:///a%00", "percent-encoded"),
    ])
    func otherTextIsRefusedByName(url: String, expected: String) {
        let error = #expect(throws: LogQError.self) { try LogQAddress(url: url) }
        #expect(error?.code == .connectFailed)
        #expect(error?.message.contains("got the URL '\(url)'") == true)
        #expect(error?.message.contains(expected) == true)
    }
}
