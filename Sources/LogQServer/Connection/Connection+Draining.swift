import NIOCore
import SystemSupport
import WireProtocol

/// The event that every connection's pipeline gets when the server stops.
struct DrainEvent: Sendable {
    /// A connection without a request under way stays open this long.
    let lingerMilliseconds: Int64
    /// A connection with an incomplete line stays open this long.
    let lineMilliseconds: Int64
}

/// Stops a connection without leaving a request unanswered.
///
/// A line is served if it has arrived when the server stops, even if this process has not read it from the socket yet.
/// So the limit is a position in the stream: the bytes read so far plus those that wait in the socket. A line that ends
/// after that position is answered `DRAINING`, and the connection ends.
extension Connection {
    struct Drain {
        let event: DrainEvent
        let start: NIODeadline
    }

    func beginDraining(_ event: DrainEvent) {
        guard drain == nil, let context else { return }
        state.input.beginDraining(unreadByteCount: bytesInSocket(context))
        drain = Drain(event: event, start: .now())
        checkDrained(after: event.lingerMilliseconds)
        process()
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
        let hasIncompleteLine = framer.pendingByteCount > 0
        let isDone = state.isIdle && isInputUsedUp && state.input.hasReceivedServedBytes
        if isDone, !hasIncompleteLine || elapsed >= .milliseconds(drain.event.lineMilliseconds) {
            state.end(.shutAndDiscard)
            process()
        } else {
            checkDrained(after: 20)
        }
    }

    /// The number of bytes that wait in the socket's receive buffer.
    private func bytesInSocket(_ context: ChannelHandlerContext) -> Int {
        #if canImport(Darwin)
        // _IOR('f', 127, int), a macro that Swift does not import.
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
