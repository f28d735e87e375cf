import NIOCore
import SystemSupport

/// A TCP address to listen on, as an operator writes it: `127.0.0.1:5647`, `[::1]:5647`, `localhost:0`.
package struct ListenAddress: Sendable, Equatable {
    package let host: String
    /// Port 0 is any free port.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil if the text has no host, or no port from 0 to 65535 after the last colon. An IPv6 address is in brackets.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    package var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The addresses of the host, each once. `localhost` always has two, whatever the machine's own list of names says,
    /// because clients try either first.
    func resolved() throws(ListenFailure) -> [SocketAddress] {
        let hosts = host.lowercased() == "localhost" ? ["127.0.0.1", "::1"] : [host]
        var addresses: [SocketAddress] = []
        for host in hosts {
            for address in try lookUp(host) where !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }

    private func lookUp(_ host: String) throws(ListenFailure) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        #if canImport(Darwin)
        hints.ai_socktype = SOCK_STREAM
        #else
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #endif
        var first: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &first)
        guard status == 0 else { throw ListenFailure(address: text, reason: String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(first) }
        var addresses: [SocketAddress] = []
        var next = first
        while let entry = next?.pointee {
            if let address = UnsafeRawPointer(entry.ai_addr) {
                switch entry.ai_family {
                case AF_INET: addresses.append(SocketAddress(address.loadUnaligned(as: sockaddr_in.self)))
                case AF_INET6: addresses.append(SocketAddress(address.loadUnaligned(as: sockaddr_in6.self)))
                default: break
                }
            }
            next = entry.ai_next
        }
        return addresses
    }
}

extension SocketAddress {
    /// Whether only processes of this machine can connect to the address.
    var isLoopback: Bool {
        guard let ipAddress else { return true }
        // The last is an IPv4 address within IPv6.
        return ipAddress == "::1" || ipAddress.hasPrefix("127.") || ipAddress.hasPrefix("::ffff:127.")
    }

    /// `127.0.0.1:5647`, `[::1]:5647`, `unix:/run/logqd.sock`.
    var text: String {
        switch self {
        case .v4: "\(ipAddress ?? "?"):\(port ?? 0)"
        case .v6: "[\(ipAddress ?? "?")]:\(port ?? 0)"
        case .unixDomainSocket: "unix:\(pathname ?? "?")"
        }
    }
}

extension ServerConfiguration {
    /// Looks up the hosts to listen on. Throws `OpenAddress` if other machines can reach one of them and
    /// `isInsecure` is false.
    package func checkAddresses() throws {
        _ = try resolvedAddresses()
    }

    func resolvedAddresses() throws -> [(ListenAddress, [SocketAddress])] {
        try tcp.map { listen in
            let addresses = try listen.resolved()
            if !isInsecure, let open = addresses.first(where: { !$0.isLoopback }) {
                throw OpenAddress(listen: listen.text, address: open.text)
            }
            return (listen, addresses)
        }
    }
}

/// Another process listens on the address.
package struct SocketInUse: Error, CustomStringConvertible {
    package let address: String
    package var description: String { "another process listens on \(address)" }
}

/// The system refuses to listen on the address.
package struct ListenFailure: Error, CustomStringConvertible {
    package let address: String
    package let reason: String
    package var description: String { "could not listen on \(address): \(reason)" }
}

/// Other machines can reach the address, and nobody has said that they may.
package struct OpenAddress: Error, CustomStringConvertible {
    package let listen: String
    package let address: String

    package var description: String {
        let resolved = address == listen ? "" : " (\(address))"
        return "got --listen \(listen)\(resolved), expected a loopback address such as 127.0.0.1: there is no password "
            + "and no encryption. To serve every machine that can reach this one, add --insecure"
    }
}
