import NIOCore
import Synchronization
import WireProtocol

/// The memory of all connections together: requests under way, replies, and bytes that wait for a socket. Usable from
/// any thread.
///
/// Past the bound, a connection that holds more than its own share takes no more requests, and large requests are
/// refused. So clients that do not read their replies can't use up the memory, and others are served.
final class ConnectionMemory: Sendable {
    /// A connection that holds no more than this is always served.
    static let shareByteCount = 64 << 10

    private let total = Atomic<Int>(0)
    let byteCountMax: Int

    init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
    }

    var byteCount: Int { total.load(ordering: .relaxed) }

    var isFull: Bool { byteCount >= byteCountMax }

    func add(_ byteCount: Int) {
        total.wrappingAdd(byteCount, ordering: .relaxed)
    }
}

extension Connection {
    /// The channel is asked what waits for the socket after this many bytes, because asking takes a while.
    private static let flushedBytesBetweenCounts = 16 << 10

    /// Whether the connection may take another request now.
    var mayTakeRequest: Bool {
        state.mayTakeRequest && (!services.memory.isFull || ownByteCount <= ConnectionMemory.shareByteCount)
    }

    /// The bytes that the connection frees by itself, as its requests are answered and its replies are sent. An
    /// incomplete line is not among them, because only further bytes end it.
    private var ownByteCount: Int {
        let ofLookups = lookups.reduce(0) { $0 + $1.bytes.readableBytes }
        return state.heldByteCount + output.readableBytes + unsentByteCount + ofLookups
    }

    /// Counts what the connection holds now. If bytes wait for the socket, it counts again when they are sent.
    func countMemory() {
        guard let context else { return }
        if unsentByteCount > 0 || flushedByteCount >= Self.flushedBytesBetweenCounts {
            flushedByteCount = 0
            let buffered = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
            unsentByteCount = buffered ?? 0
            if unsentByteCount > 0 { countAgainWhenSent() }
        }
        count(ownByteCount + framer.pendingByteCount)
    }

    func count(_ byteCount: Int) {
        guard byteCount != countedByteCount else { return }
        services.memory.add(byteCount - countedByteCount)
        countedByteCount = byteCount
    }

    /// The promise of an empty write succeeds once all earlier writes are done.
    private func countAgainWhenSent() {
        guard !isAwaitingSent, let context else { return }
        isAwaitingSent = true
        let sent = context.eventLoop.makePromise(of: Void.self)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in
            connection.value.isAwaitingSent = false
            connection.value.process()
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Throws `BUSY` if the reply would hold more than the connections may hold together. A connection alone may exceed
    /// that: its own bounds hold.
    func checkMemory(_ byteCount: Int) throws(WireError) {
        let (held, most) = (services.memory.byteCount, services.memory.byteCountMax)
        guard byteCount > ConnectionMemory.shareByteCount, held > countedByteCount, held + byteCount > most else {
            return
        }
        let got = "got a request of about \(byteCount) bytes while connections hold \(held)"
        throw WireError(.busy, "\(got), expected at most \(most): try again later")
    }
}
