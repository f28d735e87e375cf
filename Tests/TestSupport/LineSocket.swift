import SystemSupport

/// A simple blocking client of the line protocol. It sends bytes and reads lines, and every wait has a deadline.
///
/// It uses POSIX calls instead of the project's own client and codecs, so that a mistake in those cannot hide one in
/// the daemon.
package final class LineSocket {
    package enum Address: Sendable, CustomStringConvertible {
        case tcp(port: UInt16)
        case unix(path: String)

        package var description: String {
            switch self {
            case .tcp(let port): "127.0.0.1:\(port)"
            case .unix(let path): path
            }
        }

        /// A connected, blocking socket, which the caller closes.
        package func connect() throws -> Int32 {
            switch self {
            case .tcp(let port): try connectTCP(port: port)
            case .unix(let path): try connectUnix(path: path)
            }
        }
    }

    /// A header line and its rows, without their LFs.
    package struct Reply: Equatable {
        package var header: String
        package var rows: [String]

        package init(header: String, rows: [String]) {
            self.header = header
            self.rows = rows
        }
    }

    private let descriptor: Int32
    /// Received bytes. The first `consumedCount` were returned to the caller.
    private var received: [UInt8] = []
    private var consumedCount = 0
    private var isAtEnd = false
    private let secondsMax: Double

    /// Every call fails if it takes longer than `secondsMax` seconds.
    package init(to address: Address, secondsMax: Double = TestScale.patienceSeconds) throws {
        self.secondsMax = secondsMax
        descriptor = try address.connect()
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    deinit {
        close(descriptor)
    }

    // MARK: Sending

    /// Sends all of `bytes`. It receives replies meanwhile, because the server stops reading while its replies are not
    /// read.
    ///
    /// If the server has closed the connection, the remaining bytes are dropped. Its earlier replies can still be read.
    package func send(_ bytes: some Collection<UInt8>) throws {
        let bytes = Array(bytes)
        let deadline = Deadline(seconds: secondsMax)
        var sentCount = 0
        while sentCount < bytes.count {
            let events = try wait(for: Int16(POLLIN | POLLOUT), deadline, "sending \(bytes.count) bytes")
            if !isAtEnd, events & Int16(POLLIN) != 0 { try receive() }
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[sentCount...])
                return SystemSupport.send(descriptor, rest.baseAddress, rest.count, sendFlags)
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

    package func send(_ line: String) throws {
        try send(Array((line + "\n").utf8))
    }

    /// Sends as many bytes as fit into the system's buffers, and reads nothing. Returns the number of bytes sent.
    package func sendWithoutWaiting(_ bytes: [UInt8]) -> Int {
        max(0, bytes.withUnsafeBytes { SystemSupport.send(descriptor, $0.baseAddress, $0.count, sendFlags) })
    }

    /// Shuts down the sending side. Replies can still be read.
    package func shutDownSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    // MARK: Receiving

    /// The next line, without its LF. Fails if the connection ends before the line is complete.
    package func readLine() throws -> [UInt8] {
        let deadline = Deadline(seconds: secondsMax)
        var scannedTo = consumedCount
        while true {
            if let end = received[scannedTo...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { markConsumed(upTo: end + 1) }
                return Array(received[consumedCount..<end])
            }
            scannedTo = received.count
            if isAtEnd {
                throw HarnessError("the connection ended where a line was expected, after \(rest)")
            }
            _ = try wait(for: Int16(POLLIN), deadline, "a line, after \(rest)")
            try receive()
        }
    }

    /// The next `count` bytes. Fails if the connection ends before them.
    package func readBytes(_ count: Int) throws -> [UInt8] {
        let deadline = Deadline(seconds: secondsMax)
        while received.count - consumedCount < count {
            guard !isAtEnd else { throw HarnessError("the connection ended before \(count) bytes, after \(rest)") }
            _ = try wait(for: Int16(POLLIN), deadline, "\(count) bytes, after \(rest)")
            try receive()
        }
        defer { markConsumed(upTo: consumedCount + count) }
        return Array(received[consumedCount..<consumedCount + count])
    }

    package func readReply() throws -> Reply {
        let header = String(decoding: try readLine(), as: UTF8.self)
        guard let count = Self.rowCount(of: header) else { throw HarnessError("no header of a reply: \(header)") }
        let rows = try (0..<count).map { _ in String(decoding: try readLine(), as: UTF8.self) }
        return Reply(header: header, rows: rows)
    }

    /// Sends one request and reads its reply.
    package func ask(_ request: String) throws -> Reply {
        try send(request)
        return try readReply()
    }

    /// Waits until the server closes the connection. Fails if it sends anything before that.
    package func expectEnd() throws {
        guard try hasEnded() else { throw HarnessError("expected the connection to end, got \(rest)") }
    }

    /// Waits until a byte arrives or the server closes the connection. Returns whether the connection is closed.
    package func hasEnded() throws -> Bool {
        let deadline = Deadline(seconds: secondsMax)
        while consumedCount == received.count, !isAtEnd {
            _ = try wait(for: Int16(POLLIN), deadline, "a byte or the end of the connection")
            try receive()
        }
        return consumedCount == received.count
    }

    /// All bytes up to the end of the connection.
    package func readToEnd() throws -> [UInt8] {
        let deadline = Deadline(seconds: secondsMax)
        while !isAtEnd {
            _ = try wait(for: Int16(POLLIN), deadline, "the end of the connection")
            try receive()
        }
        defer { markConsumed(upTo: received.count) }
        return Array(received[consumedCount...])
    }

    /// Whether there is a byte to read now.
    package var hasUnreadBytes: Bool {
        var byte: UInt8 = 0
        return consumedCount < received.count || recv(descriptor, &byte, 1, Int32(MSG_PEEK)) > 0
    }

    /// The number of rows that a header announces. Nil if the line is not a header.
    package static func rowCount(of header: String) -> Int? {
        if header.hasPrefix("ERR ") { return 0 }
        guard header.hasPrefix("OK "), let count = Int(header.dropFirst(3)), count >= 0 else { return nil }
        return count
    }

    /// The received bytes that the caller has not read, for messages.
    private var rest: String {
        let bytes = received[consumedCount...]
        return bytes.isEmpty ? "nothing" : "\"\(String(decoding: bytes.prefix(200), as: UTF8.self))\""
    }

    private func markConsumed(upTo index: Int) {
        consumedCount = index
        if consumedCount == received.count {
            received.removeAll(keepingCapacity: true)
            consumedCount = 0
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
        // At the end of the input POLLIN is always set, which would turn the wait for POLLOUT into a busy loop.
        var entry = pollfd(fd: descriptor, events: isAtEnd ? events & ~Int16(POLLIN) : events, revents: 0)
        while true {
            let count = poll(&entry, 1, deadline.millisecondsLeft)
            if count > 0 { return entry.revents }
            if count < 0, errno != EINTR { throw HarnessError("poll: \(describe(errno))") }
            if deadline.hasPassed { throw HarnessError("waited \(secondsMax) s for \(what())") }
        }
    }
}

// MARK: Connecting

private func connectTCP(port: UInt16) throws -> Int32 {
    let descriptor = try makeSocket(AF_INET)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try connectSocket(descriptor, &address, MemoryLayout<sockaddr_in>.size, name: "127.0.0.1:\(port)")
    var yes: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    return descriptor
}

private func connectUnix(path: String) throws -> Int32 {
    let descriptor = try makeSocket(AF_UNIX)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8) + [0]
    try withUnsafeMutableBytes(of: &address.sun_path) { target in
        guard bytes.count <= target.count else { throw HarnessError("socket path too long: \(path)") }
        target.copyBytes(from: bytes)
    }
    try connectSocket(descriptor, &address, MemoryLayout<sockaddr_un>.size, name: path)
    return descriptor
}

/// A new stream socket that child processes do not inherit, because a daemon that did would keep the connection open.
package func makeSocket(_ family: Int32) throws -> Int32 {
    #if os(Linux)
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

private func connectSocket<Address>(
    _ descriptor: Int32,
    _ address: inout Address,
    _ size: Int,
    name: String
) throws {
    let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(size))
        }
    }
    guard result == 0 else {
        let problem = errno
        close(descriptor)
        throw HarnessError("cannot connect to \(name): \(describe(problem))")
    }
}

#if os(Linux)
private let sendFlags = Int32(MSG_NOSIGNAL)
#else
private let sendFlags: Int32 = 0
#endif
