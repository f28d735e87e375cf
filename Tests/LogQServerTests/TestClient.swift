import Foundation

/// A client made of system calls: blocking, with a bound on every wait, so that no test hangs.
final class TestClient {
    private let socket: Int32
    private var received: [UInt8] = []
    /// How much of `received` was returned.
    private var usedCount = 0

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(port: Int) throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure(description: "connect: errno \(errno)") }
        var seconds = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &seconds, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &seconds, size)
    }

    deinit {
        close(socket)
    }

    func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "send: errno \(errno)") }
            sent += count
        }
    }

    /// Sends what fits into the buffers right now. Returns how much that was.
    func sendWithoutWaiting(_ bytes: [UInt8]) -> Int {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        return max(0, bytes.withUnsafeBytes { Foundation.send(socket, $0.baseAddress!, bytes.count, flags) })
    }

    func shutDownSending() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// The next line, without its LF; nil at the end of the stream.
    func readLine() throws -> String? {
        while true {
            if let end = received[usedCount...].firstIndex(of: 0x0A) {
                defer { usedCount = end + 1 }
                return String(decoding: received[usedCount..<end], as: UTF8.self)
            }
            received.removeFirst(usedCount)
            usedCount = 0
            guard try receive() else { return nil }
        }
    }

    /// The next reply, header and rows; nil at the end of the stream.
    func readReply() throws -> [String]? {
        guard let header = try readLine() else { return nil }
        var lines = [header]
        if header.hasPrefix("OK "), let count = Int(header.dropFirst(3)) {
            for _ in 0..<count { lines.append(try readLine() ?? "") }
        }
        return lines
    }

    func readToEnd() throws -> String {
        while try receive() {}
        defer {
            received = []
            usedCount = 0
        }
        return String(decoding: received[usedCount...], as: UTF8.self)
    }

    func ask(_ request: String) throws -> [String] {
        try send(request + "\n")
        guard let reply = try readReply() else { throw Failure(description: "connection closed after \(request)") }
        return reply
    }

    private func receive() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(socket, &chunk, chunk.count, 0)
        guard count >= 0 else { throw Failure(description: "recv: errno \(errno)") }
        received += chunk[..<count]
        return count > 0
    }
}
