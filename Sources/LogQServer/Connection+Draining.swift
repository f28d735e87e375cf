import NIOCore
import WireProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Sent through every connection's pipeline when the server stops.
struct DrainEvent: Sendable {
    /// A connection without a request under way stays open this long.
    let lingerMilliseconds: Int64
    /// One with half a line stays open this long.
    let lineMilliseconds: Int64
}

/// Stopping without cutting anybody off.
///
/// *Answer what was sent*: what has arrived when the server stops is honoured, also what the system has received and
/// this process has not read yet. So the stream position that counts is the bytes read so far plus those that wait in
/// the socket. A line that ends behind it is answered `DRAINING`, and the connection ends.
extension Connection {
    struct Drain {
        let honouredByteCount: Int
        let event: DrainEvent
        let start: NIODeadline
    }

    func beginDraining(_ event: DrainEvent) {
        guard drain == nil, let context else { return }
        drain = Drain(
            honouredByteCount: receivedByteCount + bytesInSocket(context),
            event: event,
            start: .now()
        )
        checkDrained(after: event.lingerMilliseconds)
        pump()
    }

    private func checkDrained(after milliseconds: Int64) {
        guard let context else { return }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
            connection.value.endIfDrained()
        }
    }

    private func endIfDrained() {
        guard let drain, state.ending == nil else { return }
        let elapsed = NIODeadline.now() - drain.start
        let hasHalfLine = framer.pendingByteCount > 0
        let isDone = state.isIdle && isInputUsedUp && receivedByteCount >= drain.honouredByteCount
        if isDone, !hasHalfLine || elapsed >= .milliseconds(drain.event.lineMilliseconds) {
            state.end(.shutAndDiscard)
            pump()
        } else {
            checkDrained(after: 20)
        }
    }

    /// The bytes that the system has received and that were not read yet.
    private func bytesInSocket(_ context: ChannelHandlerContext) -> Int {
        #if canImport(Darwin)
        // _IOR('f', 127, int): a macro that Swift does not import.
        let request: UInt = 0x4004_667F
        #else
        let request = UInt(FIONREAD)
        #endif
        var count: CInt = 0
        let answered = try? context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) {
            ioctl($0, request, &count) == 0
        }
        return answered == true ? Int(count) : 0
    }
}
