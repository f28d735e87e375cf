import WireProtocol

/// Where a daemon listens: a host and a port, or the path of a Unix-domain socket.
///
/// As a URL, it is `logq://host:port` or `logq+unix:///path`. The Python client reads the same URLs.
public enum LogQAddress: Sendable, Hashable {
    case tcp(host: String, port: Int)
    case unixSocket(path: String)

    /// Reads `logq://host`, `logq://host:port`, `logq://[::1]:port` or `logq+unix:///path`.
    ///
    /// Without a port, it is 5647. In a path, `%20` stands for a space, and so on for every byte.
    ///
    /// - Throws: ``LogQError/Code-swift.enum/connectFailed`` with what was got and what was expected.
    public init(url: String) throws(LogQError) {
        func failure(_ expected: String) -> LogQError {
            LogQError(.connectFailed, "got the URL '\(url)', expected \(expected)")
        }
        guard let colon = url.firstIndex(of: ":"), url[colon...].hasPrefix("://") else {
            throw failure("logq://host:port or logq+unix:///path")
        }
        let rest = url[colon...].dropFirst(3)
        guard !rest.contains(where: { "?#@".contains($0) }) else {
            throw failure("neither a user nor a query nor a fragment: a path spells @ ? # as %40 %3F %23")
        }
        switch url[..<colon].lowercased() {
        case "logq":
            guard let address = LogQAddress.tcp(rest.hasSuffix("/") ? rest.dropLast() : rest) else {
                throw failure("logq://host:port, with a port from 1 to 65535 and an IPv6 address in brackets")
            }
            self = address
        case "logq+unix":
            guard let path = LogQAddress.percentDecoded(rest), path.hasPrefix("/"), path.utf8.count > 1 else {
                throw failure("logq+unix:// and an absolute path in percent-encoded UTF-8")
            }
            self = .unixSocket(path: path)
        case "logqs":
            throw failure("logq:// or logq+unix://, because this version has no TLS")
        default:
            throw failure("logq://host:port or logq+unix:///path")
        }
    }

    /// The address that `host`, `host:port` or `[address]:port` spells; nil if it spells none.
    private static func tcp(_ text: Substring) -> LogQAddress? {
        var host = text
        var port = Limits.portDefault
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            let digits = text[text.index(after: colon)...]
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
                (1...65_535).contains(number)
            else { return nil }
            host = text[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(where: { ":[]".contains($0) }) {
            return nil
        }
        guard !host.isEmpty, !host.contains(where: { $0 == "/" || $0 == "%" || $0.isWhitespace }) else { return nil }
        return .tcp(host: String(host), port: port)
    }

    /// `text` with each `%` and two hexadecimal digits as one byte; nil if the result is no path.
    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.first != UInt8(ascii: "+"),
                let value = UInt8(Substring(digits), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension LogQClient {
    /// Connects to `address`, as ``connect(host:port:configuration:)`` and
    /// ``connect(unixSocketPath:configuration:)`` do.
    public static func connect(
        to address: LogQAddress,
        configuration: Configuration = Configuration()
    ) async throws(LogQError) -> LogQClient {
        switch address {
        case .tcp(let host, let port): try await connect(host: host, port: port, configuration: configuration)
        case .unixSocket(let path): try await connect(unixSocketPath: path, configuration: configuration)
        }
    }

    /// Connects to the daemon at `url`: `logq://host:port` or `logq+unix:///path`.
    ///
    /// - Throws: as ``LogQAddress/init(url:)`` and ``connect(host:port:configuration:)``.
    public static func connect(
        url: String,
        configuration: Configuration = Configuration()
    ) async throws(LogQError) -> LogQClient {
        try await connect(to: LogQAddress(url: url), configuration: configuration)
    }
}
