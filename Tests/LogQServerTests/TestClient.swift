import Dispatch
import Foundation

/// A client made of system calls, with a bound on every wait, so that no test hangs.
///
/// The calls block, so they run on a queue of the client's own: the few threads that run async code are shared with all
/// other tests.
final class TestClient: @unchecked Sendable {
    private let queue = DispatchQueue(label: "test client")
    private let socket: Int32
    // Touched on the queue only.
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
        // All properties are set, so `deinit` closes the socket here too.
        guard status == 0 else { throw Failure(description: "connect: errno \(errno)") }
        var seconds = timeval(tv_sec: 60, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &seconds, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &seconds, size)
    }

    deinit {
        close(socket)
    }

    func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) async throws {
        try await onQueue { client in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Foundation.send(client.socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw Failure(description: "send: errno \(errno)") }
                sent += count
            }
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

    /// Whether bytes have arrived that were not read yet.
    var hasUnreadBytes: Bool {
        var byte: UInt8 = 0
        return usedCount < received.count || recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
    }

    /// The next reply, header and rows; nil at the end of the stream.
    func readReply() async throws -> [String]? {
        try await onQueue { try $0.readReplyNow() }
    }

    func readToEnd() async throws -> String {
        try await onQueue { client in
            while try client.receive() {}
            defer {
                client.received = []
                client.usedCount = 0
            }
            return String(decoding: client.received[client.usedCount...], as: UTF8.self)
        }
    }

    func ask(_ request: String) async throws -> [String] {
        try await send(request + "\n")
        guard let reply = try await readReply() else {
            throw Failure(description: "connection closed after \(request)")
        }
        return reply
    }

    // MARK: On the queue

    private func onQueue<R: Sendable>(_ body: @escaping @Sendable (TestClient) throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body(self) }) }
        }
    }

    private func readReplyNow() throws -> [String]? {
        guard let header = try readLine() else { return nil }
        var lines = [header]
        if header.hasPrefix("OK "), let count = Int(header.dropFirst(3)) {
            for _ in 0..<count { lines.append(try readLine() ?? "") }
        }
        return lines
    }

    /// The next line, without its LF; nil at the end of the stream.
    private func readLine() throws -> String? {
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

    private func receive() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(socket, &chunk, chunk.count, 0)
        guard count >= 0 else { throw Failure(description: "recv: errno \(errno)") }
        received += chunk[..<count]
        return count > 0
    }
}
