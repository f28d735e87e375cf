import Dispatch
import TestSupport

/// A `LineSocket` for async tests.
///
/// Its calls block, so they run on a queue of their own: all tests share the few threads that run async code.
final class TestClient: @unchecked Sendable {
    private let queue = DispatchQueue(label: "test client")
    private let socket: LineSocket

    init(port: Int) throws {
        socket = try LineSocket(to: .tcp(port: UInt16(port)))
    }

    func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) async throws {
        try await onQueue { try $0.send(bytes) }
    }

    /// Sends as many bytes as fit into the buffers now. Returns their number.
    func sendWithoutWaiting(_ bytes: [UInt8]) -> Int { socket.sendWithoutWaiting(bytes) }

    func shutDownSending() { socket.shutDownSending() }

    /// Whether bytes have arrived that were not read yet.
    var hasUnreadBytes: Bool { socket.hasUnreadBytes }

    /// The next reply, header and rows; nil at the end of the stream.
    func readReply() async throws -> [String]? {
        try await onQueue { socket in
            if try socket.hasEnded() { return nil }
            let reply = try socket.readReply()
            return [reply.header] + reply.rows
        }
    }

    func readToEnd() async throws -> String {
        try await onQueue { String(decoding: try $0.readToEnd(), as: UTF8.self) }
    }

    func ask(_ request: String) async throws -> [String] {
        try await onQueue { socket in
            let reply = try socket.ask(request)
            return [reply.header] + reply.rows
        }
    }

    private func onQueue<R: Sendable>(_ body: @escaping @Sendable (LineSocket) throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body(self.socket) }) }
        }
    }
}
