import Foundation
import TestSupport

/// A blocking client of the line protocol, as plain as the protocol allows: bytes out, lines in, every wait with
/// a deadline.
///
/// It is written on the POSIX calls and knows nothing of the project's own client and codecs, so that a mistake
/// in those
/// cannot hide one in the daemon.
final class LineSocket {
    enum Address: Sendable, CustomStringConvertible {
        case tcp(port: UInt16)
        case unix(path: String)

        var description: String {
            switch self {
            case .tcp(let port): "127.0.0.1:\(port)"
            case .unix(let path): path
            }
        }
    }

    /// A header line and its rows, without their LFs.
    struct Reply: Equatable {
        var header: String
        var rows: [String]
    }

    private let descriptor: Int32
    /// Received and not yet handed out: `received[handedOut...]`.
    private var received: [UInt8] = []
    private var handedOut = 0
    private var isAtEnd = false
    let secondsMax: Double

    /// Every call on this socket fails when it takes longer than `secondsMax`.
    init(to address: Address, secondsMax: Double = TestScale.patienceSeconds) throws {
        self.secondsMax = secondsMax
        switch address {
        case .tcp(let port): descriptor = try Self.connectTCP(port: port)
        case .unix(let path): descriptor = try Self.connectUnix(path: path)
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    deinit {
        close(descriptor)
    }

    // MARK: Sending

    /// Sends all of `bytes`. Reads meanwhile: a server that is not read from may stop reading.
    ///
    /// If the server has closed the connection the rest is dropped; what it said before can still be read.
    func send(_ bytes: some Collection<UInt8>) throws {
        let bytes = Array(bytes)
        let deadline = Deadline(seconds: secondsMax)
        var sentCount = 0
        while sentCount < bytes.count {
            let events = try wait(for: Int16(POLLIN | POLLOUT), deadline, "sending \(bytes.count) bytes")
            if !isAtEnd, events & Int16(POLLIN) != 0 { try receive() }
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[sentCount...])
                return platformSend(descriptor, rest.baseAddress, rest.count, sendFlags)
            }
            if count >= 0 {
                sentCount += count
            } else if errno == EPIPE || errno == ECONNRESET {
                return
            } else if errno != EAGAIN, errno != EINTR {
                throw HarnessError("send: \(describe(errno))")
            }
        }
    }

    func send(_ line: String) throws {
        try send(Array((line + "\n").utf8))
    }

    /// Says that no more will be sent; replies can still be read.
    func shutDownSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    // MARK: Receiving

    /// The next line, without its LF. Fails when the connection ends before one is complete.
    func readLine() throws -> [UInt8] {
        let deadline = Deadline(seconds: secondsMax)
        var scannedTo = handedOut
        while true {
            if let end = received[scannedTo...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { handOut(upTo: end + 1) }
                return Array(received[handedOut..<end])
            }
            scannedTo = received.count
            if isAtEnd {
                throw HarnessError("the connection ended where a line was expected, after \(rest)")
            }
            _ = try wait(for: Int16(POLLIN), deadline, "a line, after \(rest)")
            try receive()
        }
    }

    /// A whole reply.
    func readReply() throws -> Reply {
        let header = String(decoding: try readLine(), as: UTF8.self)
        guard let count = Self.rowCount(of: header) else { throw HarnessError("no header of a reply: \(header)") }
        let rows = try (0..<count).map { _ in String(decoding: try readLine(), as: UTF8.self) }
        return Reply(header: header, rows: rows)
    }

    /// Sends one request and reads its reply.
    func ask(_ request: String) throws -> Reply {
        try send(request)
        return try readReply()
    }

    /// Waits until the server closes, and fails if it says anything before.
    func expectEnd() throws {
        let deadline = Deadline(seconds: secondsMax)
        while true {
            guard handedOut == received.count else {
                throw HarnessError("expected the connection to end, got \(rest)")
            }
            if isAtEnd { return }
            _ = try wait(for: Int16(POLLIN), deadline, "the end of the connection")
            try receive()
        }
    }

    /// The rows that a header announces; nil if it is no header.
    static func rowCount(of header: String) -> Int? {
        if header.hasPrefix("ERR ") { return 0 }
        guard header.hasPrefix("OK "), let count = Int(header.dropFirst(3)), count >= 0 else { return nil }
        return count
    }

    /// What has arrived and was not read, for messages.
    private var rest: String {
        let bytes = received[handedOut...]
        return bytes.isEmpty ? "nothing" : "\"\(String(decoding: bytes.prefix(200), as: UTF8.self))\""
    }

    private func handOut(upTo index: Int) {
        handedOut = index
        if handedOut == received.count {
            received.removeAll(keepingCapacity: true)
            handedOut = 0
        }
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 {
            received.append(contentsOf: buffer[..<count])
        } else if count == 0 {
            isAtEnd = true
        } else if errno != EAGAIN, errno != EINTR {
            throw HarnessError("recv: \(describe(errno)), after \(rest)")
        }
    }

    private func wait(for events: Int16, _ deadline: Deadline, _ what: @autoclosure () -> String) throws -> Int16 {
        // At the end of the input POLLIN is always there; it must not turn waiting for POLLOUT into a busy loop.
        var entry = pollfd(fd: descriptor, events: isAtEnd ? events & ~Int16(POLLIN) : events, revents: 0)
        while true {
            let count = poll(&entry, 1, deadline.millisecondsLeft)
            if count > 0 { return entry.revents }
            if count < 0, errno != EINTR { throw HarnessError("poll: \(describe(errno))") }
            if deadline.hasPassed { throw HarnessError("waited \(secondsMax) s for \(what())") }
        }
    }

    // MARK: Connecting

    private static func connectTCP(port: UInt16) throws -> Int32 {
        let descriptor = try makeSocket(AF_INET)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        try connect(descriptor, &address, MemoryLayout<sockaddr_in>.size, name: "127.0.0.1:\(port)")
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func connectUnix(path: String) throws -> Int32 {
        let descriptor = try makeSocket(AF_UNIX)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8) + [0]
        try withUnsafeMutableBytes(of: &address.sun_path) { target in
            guard bytes.count <= target.count else { throw HarnessError("socket path too long: \(path)") }
            target.copyBytes(from: bytes)
        }
        try connect(descriptor, &address, MemoryLayout<sockaddr_un>.size, name: path)
        return descriptor
    }

    private static func makeSocket(_ family: Int32) throws -> Int32 {
        #if os(Linux)
        // Closed in children at once: a daemon that inherited it would keep the connection open.
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        #else
        let descriptor = socket(family, SOCK_STREAM, 0)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<Int32>.size))
        #endif
        guard descriptor >= 0 else { throw HarnessError("socket: \(describe(errno))") }
        return descriptor
    }

    private static func connect<Address>(
        _ descriptor: Int32,
        _ address: inout Address,
        _ size: Int,
        name: String
    ) throws {
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                platformConnect(descriptor, $0, socklen_t(size))
            }
        }
        guard result == 0 else {
            let problem = errno
            close(descriptor)
            throw HarnessError("cannot connect to \(name): \(describe(problem))")
        }
    }
}

#if os(Linux)
private let sendFlags = Int32(MSG_NOSIGNAL)
#else
private let sendFlags: Int32 = 0
#endif

// Inside the class these names are its own methods.
private func platformSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    send(descriptor, bytes, count, flags)
}

private func platformConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
    connect(descriptor, address, size)
}
